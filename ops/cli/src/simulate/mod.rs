//! `switchboard simulate`: plays Meta and Telegram on loopback, for people without accounts there. It takes what Switchboard sends, reports it
//! delivered and read, and lets a customer answer.

mod answers;
mod customers;
mod server;

use crate::{
    console,
    error::{CliError, Doing},
    settings::Settings,
};
use customers::Customers;
use std::sync::Arc;
use tokio::net::TcpListener;

#[derive(Debug, clap::Args)]
pub(crate) struct SimulateArgs {
    /// The port on 127.0.0.1; 0: a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
}

pub(crate) async fn run(args: &SimulateArgs, settings: &Settings) -> Result<(), CliError> {
    let listener = TcpListener::bind(("127.0.0.1", args.port)).await.doing(|| format!("listening on 127.0.0.1:{}", args.port))?;
    let address = listener.local_addr().doing(|| "reading the address".to_owned())?;
    let secret = settings.get("META_APP_SECRET").unwrap_or_default();
    if secret.is_empty() {
        return Err(CliError::Usage("META_APP_SECRET is not set, so customers' webhooks cannot be signed: set it to the API's".to_owned()));
    }
    let customers = Customers::new(&settings.public_url(), secret)?;
    let example = r#"{"channel": "facebook", "to": "<page id>", "text": "Hello"}"#;
    console::line(&format!("playing Meta and Telegram at http://{address}: set META_GRAPH_URL and TELEGRAM_API_URL to it for the worker"));
    console::line(&format!("have a customer write (channel: whatsapp, facebook, instagram): curl http://{address}/write -d '{example}'"));
    server::serve(listener, Arc::new(customers), format!("http://{address}")).await
}
