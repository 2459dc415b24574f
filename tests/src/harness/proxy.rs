//! A way to a server that the test can cut, so that an answer gets lost although the server did what was asked; or silence, as
//! when a host vanishes.

use std::{net::SocketAddr, sync::Arc};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::Notify,
    time::{Duration, sleep},
};

/// Passes connections on to a server.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    cut: Arc<Notify>,
    silence: Arc<Notify>,
}

impl Proxy {
    /// In front of 127.0.0.1:`port`.
    pub(crate) async fn start(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self { port: listener.local_addr().unwrap().port(), cut: Arc::default(), silence: Arc::default() };
        let (cut, silence) = (proxy.cut.clone(), proxy.silence.clone());
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (cut, silence) = (cut.clone(), silence.clone());
                tokio::spawn(async move {
                    let Ok(mut server) = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).await else { return };
                    client.set_nodelay(true).unwrap();
                    server.set_nodelay(true).unwrap();
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => {}
                        () = cut.notified() => {}
                        // Nobody hears anything any more, not even that the connection ended.
                        () = silence.notified() => sleep(Duration::from_hours(1)).await,
                    }
                });
            }
        });
        proxy
    }

    /// Every connection there is passes nothing on any more. New ones are possible at once.
    pub(crate) fn silence(&self) {
        self.silence.notify_waiters();
    }

    /// Cuts every connection there is. New ones are possible at once.
    pub(crate) fn cut(&self) {
        self.cut.notify_waiters();
    }
}
