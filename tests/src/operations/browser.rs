//! The pages in a real browser: what moves, the slider, editing and retrying, keyboard and small screens.

use crate::harness::{ADMIN_TOKEN, App, Browser, text, until};
use serde_json::json;

const LARGE: (u32, u32) = (1440, 900);
const SMALL: (u32, u32) = (360, 740);
const PAGES: [&str; 9] =
    ["/ops", "/ops/history", "/ops/jobs", "/ops/dead", "/ops/control", "/ops/journey", "/ops/webhooks", "/ops/acts", "/ops/runbook"];

/// Signs in as people do.
async fn sign_in(app: &App, size: (u32, u32)) -> Browser {
    let browser = Browser::open(&app.url("/ops"), size).await;
    browser.fill("input[name=secret]", ADMIN_TOKEN).await;
    browser.press("Enter").await;
    browser.until("document.title.startsWith('Overview')").await;
    browser
}

#[tokio::test]
async fn the_overview_moves_by_itself_and_acts_are_seen_at_once() {
    let app = App::start().await;
    let browser = sign_in(&app, LARGE).await;
    browser.until("document.body.dataset.live === 'on'").await;
    browser.value("window.loaded = true").await;
    assert_eq!(app.webhook(&text("wamid.1")).await, 200);
    // Taken webhooks are counted within seconds, without the page being loaded again.
    browser.until("[...document.querySelectorAll('.tile')].some(tile => tile.textContent.startsWith('Webhooks') && !tile.textContent.startsWith('Webhooks0/s'))").await;
    app.probe(json!("fail"), 1).await;
    browser.until("[...document.querySelectorAll('.tile')].some(tile => tile.textContent.startsWith('Dead letters1'))").await;
    assert_eq!(browser.value("window.loaded").await, json!(true));
    // Pause and resume.
    browser.go(&app.url("/ops/control")).await;
    browser.until("document.title.startsWith('Pauses')").await;
    browser.value("[...document.querySelectorAll('summary')].find(line => line.textContent === 'Pause webhooks…').click()").await;
    browser.until("document.querySelector('details[open] button')?.textContent === 'Pause webhooks'").await;
    browser.value("[...document.querySelectorAll('button')].find(button => button.textContent === 'Pause webhooks').click()").await;
    browser.until("document.querySelector('[role=status]')?.textContent === 'Paused queue:webhooks.'").await;
    browser.value("[...document.querySelectorAll('button')].find(button => button.textContent === 'Resume webhooks').click()").await;
    browser.until("document.querySelector('[role=status]')?.textContent === 'Resumed queue:webhooks.'").await;
    // Search, edit, retry, watch.
    browser.go(&app.url("/ops/jobs?state=dead")).await;
    browser.until("document.title.startsWith('Jobs')").await;
    browser.click("tbody th a").await;
    browser.until("document.title.startsWith('Job ') && document.body.dataset.live === 'on'").await;
    browser.click("details summary").await;
    browser.fill("textarea[name=args]", "{\"act\": \"succeed\"}").await;
    browser.click("button[value=edit]").await;
    browser.until("document.querySelector('[role=status]')?.textContent.startsWith('It runs again')").await;
    browser.until("document.querySelector('#live dd.good')?.textContent.startsWith('done')").await;
}

#[tokio::test]
async fn a_group_is_released_after_its_canary_and_a_webhook_replayed_with_its_difference() {
    let app = App::start().await;
    app.probe(json!("fail"), 10).await;
    until("they are dead", async || app.db.count("SELECT count(*) FROM jobs_dead").await == 10).await;
    app.db.run("UPDATE jobs_dead SET args = '{\"act\": \"succeed\"}'").await;
    let browser = sign_in(&app, LARGE).await;
    browser.go(&app.url("/ops/dead")).await;
    browser.until("document.title.startsWith('Dead letters')").await;
    browser.click("tbody th a").await;
    browser.until("document.title.startsWith('probe:probe')").await;
    browser.click("button[value=canary]").await;
    browser.until("document.querySelector('#live dd.good')?.textContent.startsWith('done')").await;
    browser.go(&app.url("/ops/dead/group?f=probe%3Aprobe")).await;
    browser.until("document.title.startsWith('probe:probe')").await;
    browser.click("button[value=release]").await;
    browser.until("document.querySelector('#live .good')?.textContent.startsWith('done: 9 of 9')").await;

    assert_eq!(app.webhook(&text("wamid.1")).await, 200);
    until("it is stored", async || app.db.count("SELECT count(*) FROM chat_messages").await == 1).await;
    app.db.run("DELETE FROM chat_messages").await;
    browser.go(&app.url("/ops/webhooks")).await;
    browser.until("document.title.startsWith('Webhooks')").await;
    browser.click("input[name=id]").await;
    browser.value("[...document.querySelectorAll('button')].find(button => button.textContent.startsWith('Replay')).click()").await;
    browser.until("[...document.querySelectorAll('h2')].some(heading => heading.textContent === 'Would appear (1)')").await;
    browser.value("[...document.querySelectorAll('main button')].find(button => button.textContent.startsWith('Replay')).click()").await;
    browser.until("document.querySelector('#live .good')?.textContent.startsWith('done: 1 of 1')").await;
    until("it is there again", async || app.db.count("SELECT count(*) FROM chat_messages").await == 1).await;
    browser.go(&app.url("/ops/journey?q=wamid.1")).await;
    browser.until("document.querySelectorAll('.steps li').length >= 4").await;
}

#[tokio::test]
async fn the_slider_moves_by_keyboard_and_shows_another_moment() {
    let app = App::start_api_only().await;
    app.db
        .run(
            "INSERT INTO queue_samples (at, queue, minutes, ready, delayed, running, dead, oldest_seconds, entered, done, failed, workers, paused)
             SELECT date_trunc('minute', now()) - make_interval(mins => n), 'outbound', 1, 1000 + n, 0, 0, 0, 0, 0, 0, 0, 1, false FROM generate_series(0, 70) n",
        )
        .await;
    let browser = sign_in(&app, LARGE).await;
    browser.go(&app.url("/ops/history?queue=outbound")).await;
    browser.until("document.querySelectorAll('svg').length === 4").await;
    let before = browser.value("document.querySelector('h2 time').textContent").await;
    // As the arrow keys do it: the value moves, and the form goes by itself.
    browser.value("(() => { const slider = document.querySelector('input[type=range]'); slider.value = 45; slider.dispatchEvent(new Event('change', {bubbles: true})); })()").await;
    browser.until(&format!("document.querySelector('h2 time')?.textContent !== {before}")).await;
    browser.until("document.querySelector('table tbody').textContent.includes('1 030') || document.querySelector('table tbody').textContent.includes('1 029')").await;
    browser.until("document.querySelector('svg rect title').textContent.includes('UTC')").await;
}

#[tokio::test]
async fn every_page_fits_a_small_screen_reads_well_in_both_themes_and_works_without_scripts() {
    let app = App::start().await;
    assert_eq!(app.webhook(&text("wamid.1")).await, 200);
    app.probe(json!("fail"), 3).await;
    until("they are dead", async || app.db.count("SELECT count(*) FROM jobs_dead").await == 3).await;
    let browser = sign_in(&app, SMALL).await;
    // WCAG 2.1, 1.4.3: text stands out from what is behind it by 4.5 to 1.
    let contrast = "(() => {
      const parse = color => color.match(/[\\d.]+/g).map(Number);
      const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
      const behind = element => { for (let at = element; at; at = at.parentElement) { const color = parse(getComputedStyle(at).backgroundColor); if (color.length < 4 || color[3] > 0) return color; } return [255, 255, 255]; };
      const bad = [];
      for (const element of document.querySelectorAll('body *')) {
        if (![...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim()) || !element.getClientRects().length || element.closest('svg, .skip')) continue;
        const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) bad.push(element.tagName + ' ' + element.textContent.trim().slice(0, 30) + ' ' + ratio.toFixed(1));
      }
      return bad;
    })()";
    for scheme in ["light", "dark"] {
        browser.prefer(scheme).await;
        for page in PAGES {
            browser.go(&app.url(page)).await;
            browser.until(&format!("location.pathname === '{page}' && document.readyState === 'complete'")).await;
            let wide = browser.value("document.documentElement.scrollWidth - document.documentElement.clientWidth").await;
            assert_eq!(wide, json!(0), "{page} is wider than the screen by that");
            assert_eq!(browser.value(contrast).await, json!([]), "{page}, {scheme}");
        }
    }
    let told = browser.accessible().await;
    for expected in ["link Overview", "button Sign out", "heading Runbook"] {
        assert!(told.iter().any(|node| node == expected), "{expected}: {told:#?}");
    }
    browser.without_scripts().await;
    browser.go(&app.url("/ops/jobs?state=dead")).await;
    let shown = async |text: &str| browser.accessible().await.iter().any(|node| node.contains(text));
    until("jobs are found without scripts", async || shown("asked to fail").await).await;
}
