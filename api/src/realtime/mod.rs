//! What happens, shown to those who watch: Socket.IO with the vocabularies of two contracts, and a WebSocket with the same events. `README.md` of the
//! crate says how nothing is missed.

mod catch_up;
mod cursor;
mod frames;
mod hub;
mod identity;
mod reader;
mod socket_io;
mod typing;
mod visitor;
mod watchable;
mod web_socket;

pub(crate) use hub::Hub;
pub(crate) use visitor::watch as watch_as_visitor;
pub(crate) use web_socket::OpenSocket;

use crate::App;
use salvo::Router;
use socketioxide::SocketIo;
use tokio::task::JoinSet;

/// What runs beside the server.
#[derive(Debug)]
pub(crate) struct Realtime {
    io: SocketIo,
    hub: std::sync::Arc<Hub>,
}

impl Realtime {
    /// Starts it, and makes the route of Socket.IO below `path`.
    pub(crate) fn start(app: &App, path: &str, redis: Option<redis::Client>, chores: &mut JoinSet<()>) -> (Self, Router) {
        let (io, route) = socket_io::mount(app.clone(), path);
        chores.spawn(reader::deliver(app.clone()));
        if let Some(redis) = redis {
            chores.spawn(reader::listen(app.hub.clone(), redis));
        }
        chores.spawn(identity::keep_out_the_signed_out(app.clone()));
        (Self { io, hub: app.hub.clone() }, route)
    }

    /// Tells everybody to go: they come back, to another process or to the next one.
    pub(crate) async fn close(&self) {
        self.hub.close_all();
        self.io.close().await;
    }
}
