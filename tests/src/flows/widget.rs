//! The chat widget in a real browser.

use super::agents::{Office, says};
use crate::harness::Browser;
use serde_json::json;

/// What is inside the widget.
const ROOT: &str = "[...document.querySelectorAll('div')].map(e => e.shadowRoot).find(Boolean)";

fn inside(expression: &str) -> String {
    format!("(() => {{ const root = {ROOT}; return root ? {expression} : null; }})()")
}

/// What the log shows, without the names that only screen readers are told.
fn log() -> String {
    inside("[...root.querySelectorAll('.log li')].map(li => [...li.childNodes].slice(1).map(n => n.textContent).join('')).join('|')")
}

async fn open(office: &Office, size: (u32, u32)) -> Browser {
    let look = json!({"enabled": true, "title": "Ann's shoes", "welcome_message": "Hi there!", "primary_color": "#aa0000", "position": "bottom-left"});
    office.app.put(&office.ann, &format!("/api/admin/widgets/{}", office.ann.tenant), look).await.expect(200);
    let browser = Browser::open(&office.app.url(&format!("/widget/demo/{}", office.ann.tenant)), size).await;
    browser.until(&inside("!!root.querySelector('.open')")).await;
    browser
}

#[tokio::test]
async fn a_visitor_opens_the_chat_by_keyboard_asks_and_is_answered_also_after_a_reload() {
    let office = Office::open(true).await;
    let browser = open(&office, (1200, 800)).await;
    browser.value(&inside("root.querySelector('.open').focus()")).await;
    browser.press("Enter").await;
    browser.until(&inside("root.activeElement === root.querySelector('textarea')")).await;
    assert_eq!(browser.value(&log()).await, json!("Hi there!"));
    browser.write("When do you open?").await;
    browser.press("Enter").await;
    browser.until(&format!("{} === 'Hi there!|When do you open?|We open at nine.'", log())).await;
    let told = browser.accessible().await;
    for expected in ["dialog Ann's shoes", "log Ann's shoes", "textbox Your message", "button Close the chat", "button Send"] {
        assert!(told.iter().any(|node| node == expected), "{expected}: {told:#?}");
    }
    // The look is the tenant's.
    let color = browser.value(&inside("getComputedStyle(root.querySelector('header')).backgroundColor")).await;
    assert_eq!(color, json!("rgb(170, 0, 0)"));
    assert_eq!(browser.value(&inside("root.querySelector('.panel').getBoundingClientRect().left < 100")).await, json!(true));
    // What a model writes is text and never markup.
    office.model.script(|_| says("<img src=x onerror=\"document.title='hacked'\"> <b>bold</b>"));
    browser.write("And until when?").await;
    browser.press("Enter").await;
    browser.until(&format!("({}).includes('<b>bold</b>')", log())).await;
    assert_eq!(browser.value(&inside("root.querySelectorAll('.log img, .log b').length")).await, json!(0));
    // A reload keeps the session, what was said, and that it is open.
    let session = "JSON.parse(Object.values(localStorage)[0]).session";
    let before = browser.value(session).await;
    browser.go(&office.app.url(&format!("/widget/demo/{}", office.ann.tenant))).await;
    browser.until(&format!("({}) && ({}).startsWith('Hi there!|When do you open?|We open at nine.|')", inside("true"), log())).await;
    assert_eq!(browser.value(session).await, before);
    browser.until(&inside("!root.querySelector('.panel').hidden")).await;
    // A person's words come by themselves.
    let session = before.as_str().unwrap();
    office.app.post(&office.ann, &format!("/api/admin/escalation/{session}/escalate"), json!({})).await.expect(200);
    let words = json!({"session_id": session, "message": "I am Ann"});
    office.app.post(&office.ann, &format!("/api/{}/supporter/message", office.ann.tenant), words).await.expect(201);
    browser.until(&format!("({}).endsWith('|I am Ann')", log())).await;
    // Escape closes it, and the focus is where it was.
    browser.press("Escape").await;
    browser.until(&inside("root.querySelector('.panel').hidden && root.activeElement === root.querySelector('.open')")).await;
}

#[tokio::test]
async fn an_api_that_is_away_is_waited_for_and_nothing_is_said_twice() {
    let mut office = Office::open(true).await;
    let browser = open(&office, (1200, 800)).await;
    browser.value(&inside("root.querySelector('.open').click()")).await;
    office.app.api.as_mut().unwrap().kill();
    browser.write("Are you there?").await;
    browser.press("Enter").await;
    browser.until(&inside("root.querySelector('.state').textContent.includes('again')")).await;
    office.app.start_api().await;
    browser.until(&format!("({}).endsWith('Are you there?|We open at nine.')", log())).await;
    assert_eq!(office.count("chat_messages WHERE direction = 'inbound'").await, 1, "however often it was sent");
}
