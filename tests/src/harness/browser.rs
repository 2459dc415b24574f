//! A real browser, as far as a test needs one (<https://chromedevtools.github.io/devtools-protocol/>): Chromium without a window, and one page.

use super::{PATIENCE, until};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
};
use tokio::{net::TcpStream, sync::Mutex, time::timeout};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
];

/// A browser, which ends with the test.
pub(crate) struct Browser {
    child: Child,
    profile: PathBuf,
    socket: Mutex<(Socket, u64)>,
}

impl Browser {
    /// Opens a page of this size.
    pub(crate) async fn open(url: &str, (width, height): (u32, u32)) -> Self {
        let profile = std::env::temp_dir().join(format!("switchboard-browser-{}", uuid::Uuid::now_v7().simple()));
        let child = Command::new(program())
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(format!("--window-size={width},{height}"))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Chromium starts; ops/test installs it");
        let file = profile.join("DevToolsActivePort");
        until("the browser listens", async || std::fs::read_to_string(&file).is_ok_and(|text| text.lines().count() >= 2)).await;
        let port: u16 = std::fs::read_to_string(&file).unwrap().lines().next().unwrap().parse().unwrap();
        let page = first_page(port).await;
        let (socket, _) = connect_async(page).await.expect("the page listens");
        let browser = Self { child, profile, socket: Mutex::new((socket, 0)) };
        browser.go(url).await;
        browser
    }

    pub(crate) async fn go(&self, url: &str) {
        self.ask("Page.navigate", json!({"url": url})).await;
    }

    async fn ask(&self, method: &str, parameters: Value) -> Value {
        let answer = self.answer(method, parameters).await;
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].clone()
    }

    async fn answer(&self, method: &str, parameters: Value) -> Value {
        let mut socket = self.socket.lock().await;
        socket.1 += 1;
        let id = socket.1;
        socket.0.send(Message::text(json!({"id": id, "method": method, "params": parameters}).to_string())).await.unwrap();
        loop {
            let message = timeout(PATIENCE, socket.0.next()).await.expect("the browser answers").unwrap().unwrap();
            let Ok(answer) = serde_json::from_str::<Value>(message.to_text().unwrap_or_default()) else { continue };
            if answer["id"] == json!(id) {
                return answer;
            }
        }
    }

    /// What an expression is worth in the page; null if it cannot be told, as while the page makes room for the next one.
    pub(crate) async fn value(&self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        self.answer("Runtime.evaluate", asked).await["result"]["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    pub(crate) async fn until(&self, expression: &str) {
        until(expression, async || self.value(expression).await == json!(true)).await;
    }

    /// Writes where the focus is, as a keyboard does.
    pub(crate) async fn write(&self, text: &str) {
        self.ask("Input.insertText", json!({"text": text})).await;
    }

    /// Presses a key: `Enter`, `Escape`, `Tab`.
    pub(crate) async fn press(&self, key: &str) {
        let code = match key {
            "Enter" => 13,
            "Escape" => 27,
            _ => 9,
        };
        let text = if key == "Enter" { "\r" } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let event = json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text});
            self.ask("Input.dispatchKeyEvent", event).await;
        }
    }

    /// Clicks what a selector finds. The answer does not count: the page may have made room for the next one by then.
    pub(crate) async fn click(&self, selector: &str) {
        let found = self.value(&format!("!!document.querySelector({selector:?})")).await;
        assert_eq!(found, json!(true), "there is no {selector}");
        self.value(&format!("document.querySelector({selector:?}).click()")).await;
    }

    /// Writes into the field that a selector finds.
    pub(crate) async fn fill(&self, selector: &str, text: &str) {
        self.until(&format!("!!document.querySelector({selector:?})")).await;
        self.value(&format!("(() => {{ const found = document.querySelector({selector:?}); found.focus(); found.select?.(); }})()")).await;
        self.write(text).await;
    }

    /// Light or dark, as the person prefers.
    pub(crate) async fn prefer(&self, scheme: &str) {
        self.ask("Emulation.setEmulatedMedia", json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]})).await;
    }

    /// Without scripts, as some browse.
    pub(crate) async fn without_scripts(&self) {
        self.ask("Emulation.setScriptExecutionDisabled", json!({"value": true})).await;
    }

    /// What screen readers are told of the page: roles and names.
    pub(crate) async fn accessible(&self) -> Vec<String> {
        let tree = self.ask("Accessibility.getFullAXTree", json!({})).await;
        let text = |node: &Value, name: &str| node[name]["value"].as_str().unwrap_or_default().to_owned();
        let nodes = tree["nodes"].as_array().unwrap();
        nodes.iter().filter(|node| node["ignored"] == false).map(|node| format!("{} {}", text(node, "role"), text(node, "name"))).collect()
    }
}

/// The address of the browser's first page.
async fn first_page(port: u16) -> String {
    let http = platform::http::builder().build().unwrap();
    let list: Value = http.get(format!("http://127.0.0.1:{port}/json/list")).send().await.unwrap().json().await.unwrap();
    let page = list.as_array().unwrap().iter().find(|target| target["type"] == "page").unwrap();
    page["webSocketDebuggerUrl"].as_str().unwrap().to_owned()
}

#[expect(clippy::disallowed_methods, reason = "where ops/test found Chromium")]
fn program() -> String {
    std::env::var("SWITCHBOARD_CHROMIUM").unwrap_or_else(|_| "chromium".to_owned())
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        std::fs::remove_dir_all(&self.profile).ok();
    }
}
