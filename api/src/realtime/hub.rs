//! Who watches what. One lock holds the clients, their rooms and how far everything has been delivered, so that a client that comes knows from where on
//! it is served.

use super::frames::Frame;
use domain::{ChannelInstanceId, ConversationId, SessionId, TenantId, UserId};
use redis::aio::ConnectionManager;
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use store::realtime::Position;
use tokio::{
    sync::{Notify, OnceCell},
    time::sleep,
};

/// So many frames are sent at once; then a client that keeps up has a moment to take them.
pub(super) const BURST: usize = 256;
pub(super) const BREATH: Duration = Duration::from_millis(2);

/// What is held back for a client while it gets what it missed; more, and it has to begin anew.
const MOST_HELD: usize = 5_000;

/// Where something is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Room {
    /// Everything of the tenant: where a client is until it chooses.
    Tenant,
    Channel(ChannelInstanceId),
    Conversation(ConversationId),
}

/// A connection, whatever its kind.
pub(super) trait Sink: Send + Sync {
    /// Hands over a frame. False: the client is too slow, or gone.
    fn send(&self, frame: &Frame) -> bool;
    fn close(&self);
}

/// Somebody who watches.
pub(super) struct Client {
    id: u64,
    pub(super) tenant: TenantId,
    pub(super) watcher: Watcher,
    sink: Box<dyn Sink>,
    /// Frames that wait until it has what it missed.
    held: Mutex<Option<Vec<Arc<Frame>>>>,
}

/// Whom a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watcher {
    /// A user of the tenant, and the session with which they are signed in.
    User(UserId, SessionId),
    /// Somebody on a website.
    Visitor,
}

impl Client {
    pub(super) fn new(hub: &Hub, tenant: TenantId, watcher: Watcher, sink: Box<dyn Sink>) -> Arc<Self> {
        let id = hub.next_id.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self { id, tenant, watcher, sink, held: Mutex::new(Some(Vec::new())) })
    }

    /// With which its user is signed in, if it has one.
    fn session(&self) -> Option<SessionId> {
        match self.watcher {
            Watcher::User(_, session) => Some(session),
            Watcher::Visitor => None,
        }
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    fn held(&self) -> MutexGuard<'_, Option<Vec<Arc<Frame>>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something that is for this client alone, before what is held.
    pub(super) fn send_now(&self, frame: &Frame) -> bool {
        self.sink.send(frame)
    }

    /// Something new.
    fn send(&self, frame: &Arc<Frame>) -> bool {
        match &mut *self.held() {
            Some(held) if held.len() >= MOST_HELD => false,
            Some(held) => {
                held.push(frame.clone());
                true
            }
            None => self.sink.send(frame),
        }
    }

    /// It has what it missed: now what came meanwhile, and then everything at once. False: it does not take it.
    pub(super) async fn release(&self) -> bool {
        loop {
            let part: Vec<Arc<Frame>> = {
                let mut held = self.held();
                match &mut *held {
                    Some(frames) if !frames.is_empty() => frames.drain(..frames.len().min(BURST)).collect(),
                    _ => {
                        *held = None;
                        return true;
                    }
                }
            };
            if !part.iter().all(|frame| self.sink.send(frame)) {
                return false;
            }
            sleep(BREATH).await;
        }
    }

    pub(super) fn close(&self) {
        self.sink.close();
    }
}

/// Everybody who watches at this process.
#[derive(Default)]
pub(crate) struct Hub {
    state: Mutex<State>,
    next_id: AtomicU64,
    /// Rung when there may be something to read, or somebody to read for.
    pub(super) bell: Notify,
    /// For typing, which goes from client to client: see `typing`.
    pub(crate) redis: Option<redis::Client>,
    /// Its connection, made when somebody types first.
    pub(super) publisher: OnceCell<ConnectionManager>,
}

#[derive(Default)]
struct State {
    clients: HashMap<u64, Arc<Client>>,
    rooms: HashMap<(TenantId, Room), HashSet<u64>>,
    /// How many clients each tenant has.
    tenants: HashMap<TenantId, usize>,
    /// Everything of these tenants up to here was delivered. `None`: nobody watches.
    position: Option<Position>,
    /// Counts up whenever a tenant is watched that was not.
    generation: u64,
}

/// What the reader reads for.
pub(super) struct Watched {
    pub(super) generation: u64,
    pub(super) tenants: Vec<i32>,
    pub(super) position: Position,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("clients", &self.state().clients.len()).finish_non_exhaustive()
    }
}

impl Hub {
    pub(crate) fn new(redis: Option<redis::Client>) -> Self {
        Self { redis, ..Self::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a client in. Returns from where on it is served; what it missed before is its own to fetch. `start`: where to begin if nobody watched yet.
    pub(super) fn enter(&self, client: &Arc<Client>, start: Position) -> Position {
        let mut state = self.state();
        let position = *state.position.get_or_insert(start);
        state.clients.insert(client.id, client.clone());
        let count = state.tenants.entry(client.tenant).or_default();
        *count += 1;
        if *count == 1 {
            state.generation += 1;
        }
        state.rooms.entry((client.tenant, Room::Tenant)).or_default().insert(client.id);
        metrics::gauge!("switchboard_realtime_clients").set(clients_gauge(&state));
        drop(state);
        self.bell.notify_one();
        position
    }

    /// Puts a client into a room. One that has chosen a room gets what its rooms get, and nothing else.
    pub(super) fn join(&self, client: u64, room: Room) {
        let mut state = self.state();
        let Some(tenant) = state.clients.get(&client).map(|client| client.tenant) else { return };
        state.rooms.entry((tenant, room)).or_default().insert(client);
        state.leave(client, (tenant, Room::Tenant));
    }

    pub(super) fn leave(&self, client: u64, room: Room) {
        let mut state = self.state();
        if let Some(tenant) = state.clients.get(&client).map(|client| client.tenant) {
            state.leave(client, (tenant, room));
        }
    }

    pub(super) fn client(&self, id: u64) -> Option<Arc<Client>> {
        self.state().clients.get(&id).cloned()
    }

    pub(super) fn exit(&self, client: u64) {
        self.state().remove(client);
    }

    /// `None`: nobody watches.
    pub(super) fn watched(&self) -> Option<Watched> {
        let mut state = self.state();
        if state.clients.is_empty() {
            state.position = None;
        }
        let tenants = state.tenants.keys().map(|tenant| tenant.0).collect();
        Some(Watched { generation: state.generation, tenants, position: state.position? })
    }

    /// What changed at `position` is shown next. False: somebody came meanwhile for whom it was not read, so it has to be read again. Whoever comes from now
    /// on fetches it: they may see some of it twice, but miss none.
    pub(super) fn advance(&self, generation: u64, position: Position) -> bool {
        let mut state = self.state();
        let is_current = state.generation == generation && state.position.is_some();
        if is_current {
            state.position = Some(position);
        }
        is_current
    }

    /// Shows frames to all in their rooms.
    pub(super) fn show(&self, tenant: TenantId, frames: impl IntoIterator<Item = Frame>) {
        let mut state = self.state();
        let mut lost = BTreeSet::new();
        for frame in frames {
            lost.extend(state.show(tenant, &Arc::new(frame), None));
        }
        state.drop_all(lost);
    }

    /// Shows something that is kept nowhere, to all in its rooms but `except`.
    pub(super) fn pass_on(&self, tenant: TenantId, frame: Frame, except: Option<u64>) {
        let mut state = self.state();
        let lost = state.show(tenant, &Arc::new(frame), except);
        state.drop_all(lost);
    }

    /// The sessions of those who watch.
    pub(super) fn sessions(&self) -> Vec<(TenantId, SessionId)> {
        let sessions: HashSet<(TenantId, SessionId)> =
            self.state().clients.values().filter_map(|client| Some((client.tenant, client.session()?))).collect();
        sessions.into_iter().collect()
    }

    /// Closes the connections of sessions that have ended.
    pub(super) fn close_sessions(&self, ended: &HashSet<SessionId>) {
        let mut state = self.state();
        let has_ended = |client: &&Arc<Client>| client.session().is_some_and(|session| ended.contains(&session));
        let gone: Vec<u64> = state.clients.values().filter(has_ended).map(|client| client.id).collect();
        state.drop_all(gone);
    }

    pub(super) fn close_all(&self) {
        let mut state = self.state();
        let all: Vec<u64> = state.clients.keys().copied().collect();
        state.drop_all(all);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a process has no 2^52 clients")]
fn clients_gauge(state: &State) -> f64 {
    state.clients.len() as f64
}

impl State {
    /// Returns who did not take it.
    fn show(&self, tenant: TenantId, frame: &Arc<Frame>, except: Option<u64>) -> Vec<u64> {
        let members = [frame.room, Room::Tenant].map(|room| self.rooms.get(&(tenant, room)));
        let ids = members.into_iter().flatten().flatten().filter(|id| except != Some(**id));
        ids.filter_map(|id| self.clients.get(id)).filter(|client| !client.send(frame)).map(|client| client.id).collect()
    }

    fn leave(&mut self, client: u64, room: (TenantId, Room)) {
        if let Some(members) = self.rooms.get_mut(&room) {
            members.remove(&client);
            if members.is_empty() {
                self.rooms.remove(&room);
            }
        }
    }

    fn remove(&mut self, id: u64) -> Option<Arc<Client>> {
        let client = self.clients.remove(&id)?;
        self.rooms.retain(|(tenant, _), members| {
            if *tenant == client.tenant {
                members.remove(&id);
            }
            !members.is_empty()
        });
        if let Some(count) = self.tenants.get_mut(&client.tenant) {
            *count -= 1;
            if *count == 0 {
                self.tenants.remove(&client.tenant);
            }
        }
        metrics::gauge!("switchboard_realtime_clients").set(clients_gauge(self));
        Some(client)
    }

    /// Whoever cannot keep up comes back with its cursor and gets what it missed.
    fn drop_all(&mut self, ids: impl IntoIterator<Item = u64>) {
        for client in ids.into_iter().filter_map(|id| self.remove(id)).collect::<Vec<_>>() {
            tracing::debug!(tenant = %client.tenant, watcher = ?client.watcher, "a realtime client was dropped: too slow, or signed out");
            metrics::counter!("switchboard_realtime_dropped_total").increment(1);
            client.close();
        }
    }
}
