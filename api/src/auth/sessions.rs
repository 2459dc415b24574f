//! Whether the session of a token is live, remembered for a second: signing out, a changed password or a deactivated user is
//! felt at once in this process, and within a second in every other.

use domain::{SessionId, TenantId};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use store::{StoreError, Tenants, sessions::SessionUser};

const BELIEVED_FOR: Duration = Duration::from_secs(1);
/// Beyond this many the memory starts over.
const CAPACITY: usize = 50_000;

#[derive(Debug)]
pub(crate) struct Sessions {
    tenants: Tenants,
    known: Mutex<HashMap<SessionId, (SessionUser, Instant)>>,
}

impl Sessions {
    pub(crate) fn new(tenants: Tenants) -> Self {
        Self { tenants, known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<SessionId, (SessionUser, Instant)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session's user, unless it has ended.
    pub(crate) async fn get(&self, tenant: TenantId, id: SessionId) -> Result<Option<SessionUser>, StoreError> {
        if let Some((user, at)) = self.known().get(&id)
            && at.elapsed() < BELIEVED_FOR
        {
            return Ok(Some(user.clone()));
        }
        let asked = Instant::now();
        let mut tx = self.tenants.begin(tenant).await?;
        let found = store::sessions::get(&mut tx, tenant, id).await?;
        drop(tx);
        let mut known = self.known();
        match &found {
            Some(user) => {
                if known.len() >= CAPACITY {
                    known.clear();
                }
                known.insert(id, (user.clone(), asked));
            }
            None => {
                known.remove(&id);
            }
        }
        Ok(found)
    }

    /// These have ended, or their user has changed.
    pub(crate) fn forget(&self, ids: impl IntoIterator<Item = SessionId>) {
        let mut known = self.known();
        for id in ids {
            known.remove(&id);
        }
    }
}
