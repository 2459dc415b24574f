//! Which rooms a client may choose.

use super::hub::Room;
use crate::App;
use domain::TenantId;
use store::watching;

/// The room, if it is the tenant's. A conversation that was joined into another is that one.
pub(super) async fn watchable(app: &App, tenant: TenantId, room: Room) -> Option<Room> {
    let mut tx = app.tenants.begin(tenant).await.ok()?;
    match room {
        Room::Tenant => Some(room),
        Room::Channel(id) => watching::has_channel(&mut tx, tenant, id).await.ok()?.then_some(room),
        Room::Conversation(id) => watching::conversation(&mut tx, tenant, id).await.ok()?.map(Room::Conversation),
    }
}
