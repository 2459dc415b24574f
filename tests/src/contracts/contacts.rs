//! Contacts, and their CSV files.

use super::{inbox, receive};
use crate::harness::{App, User, until};
use serde_json::{Value, json};

async fn create(app: &App, user: &User, body: Value) -> Value {
    app.post(user, "/api/contacts", body).await.expect(201)["data"].clone()
}

async fn names(app: &App, user: &User, query: &str) -> (Vec<String>, i64) {
    let body = app.get(user, &format!("/api/contacts?{query}")).await.expect(200);
    let names = body["data"]["contacts"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap_or("-").to_owned());
    (names.collect(), body["data"]["pagination"]["total"].as_i64().unwrap())
}

/// A form with one part.
fn form(part: &str, content: &str) -> String {
    format!("--frontier\r\nContent-Disposition: form-data; {part}\r\nContent-Type: text/csv\r\n\r\n{content}\r\n--frontier--\r\n")
}

const FORM: &str = "multipart/form-data; boundary=frontier";

async fn import(app: &App, user: &User, file: &str) -> Value {
    let body = form("name=\"file\"; filename=\"people.csv\"", file);
    let request = app.request("POST", "/api/contacts/import/csv").bearer_auth(&user.token).header("content-type", FORM).body(body);
    let taken = app.send(request).await.expect(202);
    assert_eq!((&taken["success"], &taken["data"]["fileName"]), (&json!(true), &json!("people.csv")));
    taken["data"].clone()
}

async fn report(app: &App, user: &User, id: &Value, query: &str) -> Value {
    app.get(user, &format!("/api/contacts/import/{}?{query}", id.as_str().unwrap())).await.expect(200)["data"].clone()
}

#[tokio::test]
async fn a_contact_from_birth_to_deletion() {
    let app = App::start_api_only().await;
    let ann = app.register("ann").await;
    let body =
        json!({"phoneNumber": "+1 (234) 567-890", "name": " John Doe ", "email": "john@example.com", "tags": ["customer", "vip", "vip"]});
    let contact = create(&app, &ann, body.clone()).await;
    assert_eq!(
        (&contact["phoneNumber"], &contact["name"], &contact["tags"]),
        (&json!("+1234567890"), &json!("John Doe"), &json!(["customer", "vip"]))
    );
    let path = format!("/api/contacts/{}", contact["id"].as_str().unwrap());
    assert_eq!(app.get(&ann, &path).await.expect(200)["data"], contact);
    assert_eq!(app.post(&ann, "/api/contacts", body).await.expect(409)["success"], json!(false));
    let changed =
        app.patch(&ann, &path, json!({"email": null, "tags": [], "phoneNumber": "0049301234567"})).await.expect(200)["data"].clone();
    assert_eq!(
        (&changed["email"], &changed["tags"], &changed["phoneNumber"], &changed["name"]),
        (&Value::Null, &json!([]), &json!("+49301234567"), &json!("John Doe"))
    );
    create(&app, &ann, json!({"phoneNumber": "+1234567890"})).await;
    app.patch(&ann, &path, json!({"phoneNumber": "+1234567890"})).await.expect(409);
    assert_eq!(names(&app, &ann, "").await.1, 2);
    app.delete(&ann, &path).await.expect(204);
    app.get(&ann, &path).await.expect(404);
    assert_eq!(names(&app, &ann, "").await, (vec!["-".to_owned()], 1));
    for (bad, field) in [
        (json!({"phoneNumber": "12"}), "phoneNumber"),
        (json!({}), "phoneNumber"),
        (json!({"phoneNumber": "+1234567891", "email": "x"}), "email"),
        (json!({"phoneNumber": "+1234567891", "tags": [""]}), "tags"),
        (json!({"phoneNumber": "+1234567891", "name": ""}), "name"),
    ] {
        assert!(app.post(&ann, "/api/contacts", bad.clone()).await.expect(400)["errors"][field].is_array(), "{bad}");
    }
}

#[tokio::test]
async fn contacts_are_found_by_part_of_what_is_known_and_by_tag() {
    let app = App::start_api_only().await;
    let (ann, eve) = (app.register("ann").await, app.register("eve").await);
    for (n, name) in ["Anna Bell", "Bob 100%", "Carol_x"].iter().enumerate() {
        let tags = if n == 1 { json!(["vip", "b"]) } else { json!(["vip"]) };
        create(
            &app,
            &ann,
            json!({"phoneNumber": format!("+123456789{n}"), "name": name, "email": format!("{n}@shop.example"), "tags": tags}),
        )
        .await;
    }
    create(&app, &eve, json!({"phoneNumber": "+1234567890", "name": "Anna Foreign", "tags": ["vip"]})).await;
    let found = async |query: &str| names(&app, &ann, query).await;
    assert_eq!(found("").await, (["Carol_x", "Bob 100%", "Anna Bell"].map(str::to_owned).to_vec(), 3));
    assert_eq!(found("page=2&limit=2").await, (vec!["Anna Bell".to_owned()], 3));
    for (query, name) in [
        ("search=anna", "Anna Bell"),
        ("search=100%25", "Bob 100%"),
        ("search=l_x", "Carol_x"),
        ("search=567891", "Bob 100%"),
        ("search=2%40shop", "Carol_x"),
        ("search=bo", "Bob 100%"),
        ("tag=b", "Bob 100%"),
        ("tag=vip&search=bell", "Anna Bell"),
    ] {
        assert_eq!(found(query).await, (vec![name.to_owned()], 1), "{query}");
    }
    assert_eq!(found("tag=vip").await.1, 3);
    assert_eq!(found("tag=vip&limit=1&page=3").await.0, ["Anna Bell"]);
    assert_eq!(found("search=nobody").await.1, 0);
    assert_eq!(found("search=%25%25%25").await.1, 0);
    assert_eq!(found("tag=nothing").await.1, 0);
    app.get(&ann, "/api/contacts?page=0").await.expect(400);
}

#[tokio::test]
async fn a_name_that_a_person_gave_stays() {
    let app = App::start().await;
    let ann = inbox(&app).await;
    create(&app, &ann, json!({"phoneNumber": "+15551230001", "name": "Dr. Smith"})).await;
    create(&app, &ann, json!({"phoneNumber": "+15551230002"})).await;
    receive(&app, "15551230001", "wamid.1", "hi").await;
    receive(&app, "15551230002", "wamid.2", "hi").await;
    assert_eq!(names(&app, &ann, "").await.0, ["Customer 15551230002", "Dr. Smith"]);
    let id = app.get(&ann, "/api/contacts?search=smith").await.expect(200)["data"]["contacts"][0]["id"].as_str().unwrap().to_owned();
    let refused = app.delete(&ann, &format!("/api/contacts/{id}")).await.expect(409);
    assert!(refused["message"].as_str().unwrap().contains("conversations"));
}

#[tokio::test]
async fn an_import_creates_updates_and_says_what_is_wrong_row_by_row() {
    let app = App::start().await;
    let ann = app.register("ann").await;
    create(&app, &ann, json!({"phoneNumber": "+1234567890", "name": "Old", "email": "old@example.com", "tags": ["a"]})).await;
    create(&app, &ann, json!({"phoneNumber": "+1234567891", "name": "Same"})).await;
    let file = "phoneNumber,name,email,tags\n+1 234 567 890,New,,\"b;a\"\n+1234567891,Same,,\n+1234567892,'=1+1,n@example.com,x\n12,Bad,,\n+1234567893,,not mail,\n+1234567892,Again,,y\n";
    let taken = import(&app, &ann, file).await;
    assert_eq!((&taken["rowsTotal"], &taken["created"]), (&json!(6), &json!(0)));
    app.drain().await;
    let report_all = report(&app, &ann, &taken["id"], "").await;
    let figures = ["rowsTotal", "rowsRead", "created", "updated", "unchanged", "invalid"].map(|field| report_all[field].as_i64().unwrap());
    assert_eq!((&report_all["status"], figures), (&json!("DONE"), [6, 6, 1, 2, 1, 2]));
    let outcomes: Vec<_> =
        report_all["rows"].as_array().unwrap().iter().map(|row| (row["row"].as_i64().unwrap(), row["outcome"].as_str().unwrap())).collect();
    assert_eq!(outcomes, [(1, "updated"), (2, "unchanged"), (3, "created"), (4, "invalid"), (5, "invalid"), (6, "updated")]);
    let invalid = report(&app, &ann, &taken["id"], "outcome=invalid&limit=1&page=2").await;
    assert_eq!(invalid["rows"], json!([{"row": 5, "outcome": "invalid", "reason": "email: not mail is not an e-mail address"}]));
    let rows = app
        .db
        .texts(
            "SELECT phone_number || ' ' || name || ' ' || coalesce(email, '-') || ' ' || tags::text FROM customers ORDER BY phone_number",
        )
        .await;
    assert_eq!(rows, ["+1234567890 New old@example.com {a,b}", "+1234567891 Same - {}", "+1234567892 Again n@example.com {x,y}"]);
    assert_eq!(app.db.count("SELECT count(*) FROM contact_imports WHERE file IS NOT NULL").await, 0);
    // Once more, nothing changes.
    let again = import(&app, &ann, "phoneNumber;name\n+1234567890;New\n").await;
    app.drain().await;
    assert_eq!(report(&app, &ann, &again["id"], "").await["unchanged"], json!(1));
    let list = app.get(&ann, "/api/contacts/import").await.expect(200);
    assert_eq!((list["data"]["imports"].as_array().unwrap().len(), &list["data"]["imports"][0]["id"]), (2, &again["id"]));
}

#[tokio::test]
async fn files_that_cannot_be_imported_are_refused_at_once() {
    let app = App::start_api_only().await;
    let ann = app.register("ann").await;
    let send = async |kind: &str, body: Vec<u8>| {
        app.send(app.request("POST", "/api/contacts/import/csv").bearer_auth(&ann.token).header("content-type", kind).body(body)).await
    };
    for body in [&b""[..], b"name\nx\n", b"\xff\xfe\x00", b"phone,phone\n1,2\n"] {
        let refused = send("text/csv", body.to_vec()).await.expect(400);
        assert!(refused["errors"]["file"].is_array(), "{refused}");
    }
    send("application/json", b"{}".to_vec()).await.expect(415);
    send("text/csv", vec![b'a'; 11 * 1024 * 1024]).await.expect(413);
    send("multipart/form-data; boundary=x", b"nonsense".to_vec()).await.expect(400);
    send(FORM, form("name=\"other\"", "x").into_bytes()).await.expect(400);
    app.call("POST", "/api/contacts/import/csv", None, Value::Null).await.expect(401);
    assert_eq!(app.db.count("SELECT (SELECT count(*) FROM contact_imports) + (SELECT count(*) FROM jobs)").await, 0);
    app.get(&ann, "/api/contacts/import/00000000-0000-0000-0000-000000000000").await.expect(404);
}

#[tokio::test]
async fn an_import_that_is_killed_goes_on_where_it_was() {
    let mut app = App::start_api_only().await;
    let ann = app.register("ann").await;
    let rows: Vec<String> = (0..20_000).map(|n| format!("+1{n:09},Person {n}\n")).collect();
    let file = format!("phoneNumber,name\n{}", rows.concat());
    // Slow enough to be killed half-way.
    app.db
        .run(
            "CREATE FUNCTION wait_a_little() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.02); RETURN NULL; END $$;
              CREATE TRIGGER slow AFTER INSERT ON contact_import_rows FOR EACH STATEMENT EXECUTE FUNCTION wait_a_little()",
        )
        .await;
    let taken = import(&app, &ann, &file).await;
    let worker = app.start_worker(&[]).await;
    for wanted in [2_000, 8_000] {
        until("some rows are taken over", async || {
            app.db.try_count("SELECT rows_read::int8 FROM contact_imports").await.is_some_and(|read| read >= wanted)
        })
        .await;
        app.kill_worker(worker);
        let together = "SELECT (rows_read = (SELECT count(*) FROM customers) AND rows_read < 20000)::int::int8 FROM contact_imports";
        assert_eq!(app.db.count(together).await, 1, "killed half-way, rows and progress are one");
    }
    app.drain().await;
    let done = report(&app, &ann, &taken["id"], "").await;
    assert_eq!((&done["status"], &done["created"], &done["rowsRead"]), (&json!("DONE"), &json!(20_000), &json!(20_000)));
    assert_eq!(app.db.count("SELECT count(*) FROM customers").await, 20_000);
    assert_eq!(app.db.count("SELECT count(*) FROM contact_import_rows WHERE outcome = 'created'").await, 20_000);
}

#[tokio::test]
async fn an_export_holds_everybody_runs_nothing_and_can_be_imported() {
    let app = App::start().await;
    let (ann, eve) = (app.register("ann").await, app.register("eve").await);
    app.db
        .run(&format!(
            "INSERT INTO customers (tenant_id, id, phone_number, name) SELECT {}, gen_random_uuid(), '+2' || 1000000 + n, 'Person ' || n FROM generate_series(1, 2500) n",
            ann.tenant_number
        ))
        .await;
    create(
        &app,
        &ann,
        json!({"phoneNumber": "+1234567890", "name": "=HYPERLINK(\"http://evil\")", "email": "a@b.co", "tags": ["@x", "y"]}),
    )
    .await;
    create(&app, &eve, json!({"phoneNumber": "+1234567890", "name": "Foreign"})).await;
    let answer = app.get(&ann, "/api/contacts/export").await;
    assert_eq!(
        (answer.header("content-type"), answer.header("content-disposition")),
        (Some("text/csv; charset=utf-8"), Some("attachment; filename=\"contacts.csv\""))
    );
    let file = answer.body.as_str().unwrap().to_owned();
    assert_eq!(file.lines().count(), 2_502);
    assert!(file.starts_with("phoneNumber,name,email,tags\n"));
    assert!(file.contains("+1234567890,\"'=HYPERLINK(\"\"http://evil\"\")\",a@b.co,'@x;y\n"), "{}", file.lines().last().unwrap());
    assert!(!file.contains("Foreign"));
    let some = app.get(&ann, "/api/contacts/export?tag=y").await.body;
    assert_eq!(some.as_str().unwrap().lines().count(), 2);
    let taken = import(&app, &ann, &file).await;
    app.drain().await;
    let done = report(&app, &ann, &taken["id"], "limit=1").await;
    assert_eq!((&done["unchanged"], &done["updated"], &done["invalid"]), (&json!(2_501), &json!(0), &json!(0)));
}

#[tokio::test]
async fn an_import_that_runs_twice_is_done_once_and_one_that_cannot_go_on_says_why() {
    let app = App::start().await;
    let ann = app.register("ann").await;
    let taken = import(&app, &ann, "phoneNumber,name,tags\n+1234567890,Ann,a\n+1234567891,Bob,b\n").await;
    app.drain().await;
    let again = format!(
        "INSERT INTO jobs (id, kind, queue, tenant_id, max_attempts, args) SELECT gen_random_uuid(), 'import_contacts', 'chores', {t}, 5,
         jsonb_build_object('tenant_id', {t}, 'import_id', id) FROM contact_imports",
        t = ann.tenant_number
    );
    app.db.run("UPDATE customers SET name = 'Changed since', name_at = 'infinity'").await;
    app.db.run(&again).await;
    app.drain().await;
    assert_eq!(report(&app, &ann, &taken["id"], "").await["created"], json!(2));
    assert_eq!(app.db.count("SELECT count(*) FROM customers WHERE name = 'Changed since'").await, 2);
    assert_eq!(app.db.count("SELECT count(*) FROM contact_import_rows").await, 2);
    // A file that is no file any more.
    app.db.run("UPDATE contact_imports SET status = 'pending', file = '\\xff', rows_read = 0").await;
    app.db.run(&again).await;
    app.drain().await;
    let failed = report(&app, &ann, &taken["id"], "").await;
    assert_eq!((&failed["status"], &failed["error"]), (&json!("FAILED"), &json!("the file is not UTF-8: save it as CSV UTF-8")));
}

#[tokio::test]
async fn an_import_waits_while_the_database_is_busy() {
    let app = App::start().await;
    let ann = app.register("ann").await;
    let mut blocker = app.db.pool().begin().await.unwrap();
    sqlx::Executor::execute(&mut *blocker, "LOCK TABLE contact_import_rows IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let taken = import(&app, &ann, "phoneNumber\n+1234567890\n").await;
    until("the import waits for the table", async || {
        app.db.count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").await > 0
    })
    .await;
    // What was under way is undone and done again.
    app.db
        .run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
        .await;
    blocker.rollback().await.unwrap();
    app.drain().await;
    let done = report(&app, &ann, &taken["id"], "").await;
    assert_eq!((&done["status"], &done["created"]), (&json!("DONE"), &json!(1)));
    assert_eq!(
        app.db.count("SELECT max(attempt)::int8 FROM jobs_done WHERE kind = 'import_contacts'").await,
        1,
        "it was not the job's fault"
    );
}
