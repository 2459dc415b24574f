//! Who may make, change and remove users, in the helpdesk's contract and the platform's.

use crate::harness::{App, PASSWORD, User, until};
use serde_json::{Value, json};

async fn number(app: &App, user: &User) -> i64 {
    app.db.count(&format!("SELECT number::int8 FROM users WHERE id = '{}'", user.id)).await
}

#[tokio::test]
async fn a_user_of_the_helpdesk_from_birth_to_deletion() {
    let app = App::start_api_only().await;
    let ann = app.register("ann").await;
    let body = json!({"full_name": "New Agent", "username": "newagent", "email": "newagent@example.com", "password": "ClearTextPassword!", "role": "empleado"});
    let user = app.post(&ann, "/api/users", body.clone()).await.expect(201);
    let mut names: Vec<&str> = user.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["active", "email", "full_name", "last_login_at", "password_changed_at", "role", "user_id", "username"]);
    let path = format!("/api/users/{}", user["user_id"]);
    let login = json!({"username": "newagent", "password": "ClearTextPassword!"});
    let session = app.call("POST", "/api/login", None, login.clone()).await.expect(200);
    assert_eq!((&session["user"]["role"], &session["user"]["user_id"]), (&json!("empleado"), &user["user_id"]));
    let token = session["access_token"].as_str().unwrap();
    // Their own name and password, but not their role.
    app.call("PATCH", &path, Some(token), json!({"full_name": "Renamed", "password": "another secret"})).await.expect(200);
    app.call("GET", &path, Some(token), Value::Null).await.expect(200);
    app.call("PATCH", &path, Some(token), json!({"role": "admin"})).await.expect(403);
    app.call("PATCH", &path, Some(token), json!({"active": false})).await.expect(403);
    app.call("POST", "/api/users", Some(token), json!({"full_name": "x", "username": "x", "password": "long enough"})).await.expect(403);
    app.call("DELETE", &path, Some(token), Value::Null).await.expect(403);
    app.call("POST", "/api/login", None, login).await.expect(401);
    // Deactivated, they are out.
    let gone = app.patch(&ann, &path, json!({"active": false})).await.expect(200);
    assert_eq!(gone["active"], json!(false));
    app.call("GET", "/api/summary", Some(token), Value::Null).await.expect(401);
    app.call("POST", "/api/login", None, json!({"username": "newagent", "password": "another secret"})).await.expect(401);
    let active = app.get(&ann, "/api/users?active=true").await.expect(200);
    assert_eq!(active.as_array().unwrap().len(), 1);
    assert_eq!(app.get(&ann, "/api/users?role=empleado").await.expect(200).as_array().unwrap().len(), 1);
    app.delete(&ann, &path).await.expect(204);
    assert_eq!(app.get(&ann, &path).await.expect(404), json!({"detail": "User not found"}));
    app.post(&ann, "/api/users", body).await.expect(201);
}

#[tokio::test]
async fn owners_are_out_of_an_admins_reach_and_one_stays() {
    let app = App::start_api_only().await;
    let ann = app.register("ann").await;
    let max = app.colleague(&ann, "max", "admin").await;
    let own = format!("/api/users/{}", number(&app, &ann).await);
    for change in
        [json!({"password": "now it is mine"}), json!({"active": false}), json!({"role": "empleado"}), json!({"email": "x@example.com"})]
    {
        app.patch(&max, &own, change).await.expect(403);
    }
    app.delete(&max, &own).await.expect(403);
    let owner = json!({"email": "new@example.com", "password": "long enough", "name": "N", "role": "owner"});
    app.post(&max, "/api/auth/users", owner.clone()).await.expect(403);
    app.patch(&max, &format!("/api/auth/users/{}", max.id), json!({"role": "owner"})).await.expect(403);
    // Nobody locks themselves, or everybody, out.
    app.patch(&ann, &own, json!({"active": false})).await.expect(409);
    app.delete(&ann, &own).await.expect(409);
    let last = app.patch(&ann, &own, json!({"role": "empleado"})).await.expect(409);
    assert!(last["detail"].as_str().unwrap().contains("only owner"), "{last}");
    // An owner that the helpdesk calls admin stays an owner.
    app.patch(&ann, &own, json!({"role": "admin", "full_name": "Ann"})).await.expect(200);
    assert_eq!(app.db.text(&format!("SELECT role FROM users WHERE id = '{}'", ann.id)).await, "owner");
    app.post(&ann, "/api/auth/users", owner).await.expect(201);
    app.patch(&ann, &own, json!({"role": "empleado"})).await.expect(200);
    app.get(&ann, "/api/auth/users").await.expect(403);
}

#[tokio::test]
async fn two_owners_cannot_leave_at_once() {
    let app = App::start_api_only().await;
    let ann = app.register("ann").await;
    let bea = app.colleague(&ann, "bea", "owner").await;
    let leave = async |user: &User| app.patch(user, &format!("/api/auth/users/{}", user.id), json!({"role": "agent"})).await.status;
    let (a, b) = tokio::join!(leave(&ann), leave(&bea));
    let mut statuses = [a, b];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    assert_eq!(app.db.count("SELECT count(*) FROM users WHERE role = 'owner'").await, 1);
}

#[tokio::test]
async fn the_platforms_users_have_uuids_and_its_errors() {
    let app = App::start_api_only().await;
    let ann = app.register("ann").await;
    let body = json!({"email": "sam@example.com", "password": PASSWORD, "name": "Sam", "role": "agent"});
    let sam = app.post(&ann, "/api/auth/users", body.clone()).await.expect(201);
    let path = format!("/api/auth/users/{}", sam["id"].as_str().unwrap());
    assert_eq!(app.get(&ann, &path).await.expect(200), sam);
    let taken = app.post(&ann, "/api/auth/users", json!({"email": "SAM@example.com", "password": PASSWORD, "name": "S"})).await.expect(409);
    assert_eq!(taken["status_code"], json!(409));
    for (bad, field) in [
        (json!({"email": "nonsense", "password": PASSWORD, "name": "S"}), "email"),
        (json!({"email": "b@example.com", "password": "short", "name": "S"}), "password"),
        (json!({"email": "b@example.com", "password": PASSWORD, "name": ""}), "name"),
        (json!({"email": "b@example.com", "password": PASSWORD, "name": "S", "role": "king"}), "role"),
    ] {
        let refused = app.post(&ann, "/api/auth/users", bad).await.expect(422);
        assert_eq!(refused["status_code"], json!(422));
        assert!(refused["detail"].as_str().unwrap().contains(field), "{refused}");
    }
    assert_eq!(app.get(&ann, "/api/auth/users?limit=0").await.expect(422)["status_code"], json!(422));
    let signed_in = app.sign_in("sam@example.com").await;
    app.get(&signed_in, "/api/auth/users").await.expect(403);
    app.get(&signed_in, "/api/auth/audit-log").await.expect(403);
    app.get(&signed_in, &path).await.expect(200);
    app.get(&signed_in, &format!("/api/auth/users/{}", ann.id)).await.expect(403);
    // Another role takes effect: sessions end.
    app.patch(&ann, &path, json!({"role": "admin"})).await.expect(200);
    app.get(&signed_in, &path).await.expect(401);
    let again = app.sign_in("sam@example.com").await;
    assert_eq!(app.get(&again, "/api/auth/users?role=admin").await.expect(200).as_array().unwrap().len(), 1);
    app.delete(&ann, &path).await.expect(204);
    app.get(&again, "/api/auth/me").await.expect(401);
    let log = app.get(&ann, "/api/auth/audit-log").await.expect(200);
    let acts: Vec<&str> = log.as_array().unwrap().iter().map(|entry| entry["act"].as_str().unwrap()).collect();
    assert_eq!(acts, ["user.delete", "session.open", "user.update", "session.open", "user.create", "tenant.register"]);
    assert_eq!(log[2]["detail"], json!({"changed": ["role"]}));
    let older = app.get(&ann, &format!("/api/auth/audit-log?limit=2&before={}", log[1]["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(older.as_array().unwrap().len(), 2);
    assert_eq!(older[0], log[2]);
    assert!(!log.to_string().contains(PASSWORD));
}

#[tokio::test]
async fn what_is_allowed_is_decided_by_the_role_that_the_user_has_then() {
    let app = App::start_api_only().await;
    let ann = app.register("ann").await;
    let max = app.colleague(&ann, "max", "admin").await;
    let sam = app.colleague(&ann, "sam", "agent").await;
    let path = format!("/api/auth/users/{}", sam.id);
    for delete in [false, true] {
        // Sam is being made an owner while the admin's request, which has seen an agent, waits.
        let mut promotion = app.db.pool().begin().await.unwrap();
        let promote = sqlx::AssertSqlSafe(format!("UPDATE users SET role = 'owner' WHERE id = '{}'", sam.id));
        sqlx::Executor::execute(&mut *promotion, promote).await.unwrap();
        let attempt = async {
            if delete { app.delete(&max, &path).await } else { app.patch(&max, &path, json!({"password": "now it is mine"})).await }
        };
        let commit = async {
            let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
            until("the request waits", async || app.db.count(waiting).await == 1).await;
            promotion.commit().await.unwrap();
        };
        let (refused, ()) = tokio::join!(attempt, commit);
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")), "{}", refused.body);
        assert_eq!(app.sign_in(&sam.email).await.id, sam.id);
        app.db.run(&format!("UPDATE users SET role = 'agent' WHERE id = '{}'", sam.id)).await;
    }
}

#[tokio::test]
async fn every_change_by_people_is_in_the_audit_log_and_a_refused_one_is_not() {
    let app = App::start_api_only().await;
    let ann = app.register("ann").await;
    let contact = app.post(&ann, "/api/contacts", json!({"phoneNumber": "+1234567890"})).await.expect(201)["data"]["id"].clone();
    let contact = format!("/api/contacts/{}", contact.as_str().unwrap());
    app.patch(&ann, &contact, json!({"name": "Jo"})).await.expect(200);
    let client = app.db.count("SELECT number FROM customers").await;
    let ticket = app.post(&ann, "/api/tickets", json!({"client_id": client, "subject": "x"})).await.expect(201)["ticket_id"].clone();
    app.patch(&ann, &format!("/api/tickets/{ticket}"), json!({"status": "cerrado"})).await.expect(200);
    app.delete(&ann, &contact).await.expect(409);
    app.delete(&ann, &format!("/api/tickets/{ticket}")).await.expect(204);
    let event = json!({"title": "x", "start_time": "2025-11-01T15:00:00Z", "end_time": "2025-11-01T15:30:00Z"});
    let event = format!("/api/events/{}", app.post(&ann, "/api/events", event).await.expect(201)["event_id"]);
    app.patch(&ann, &event, json!({"title": "y"})).await.expect(200);
    app.patch(&ann, &event, json!({"end_time": "2025-11-01T14:00:00Z"})).await.expect(400);
    app.delete(&ann, &event).await.expect(204);
    app.delete(&ann, &contact).await.expect(204);
    app.patch(&ann, "/api/settings", json!({"tenantName": "Shop"})).await.expect(200);
    let log = app.get(&ann, "/api/auth/audit-log").await.expect(200);
    let acts: Vec<&str> = log.as_array().unwrap().iter().rev().map(|entry| entry["act"].as_str().unwrap()).collect();
    let wanted = [
        "tenant.register",
        "contact.create",
        "contact.update",
        "ticket.create",
        "ticket.update",
        "ticket.delete",
        "event.create",
        "event.update",
        "event.delete",
        "contact.delete",
        "settings.update",
    ];
    assert_eq!(acts, wanted);
    assert!(log.as_array().unwrap().iter().all(|entry| entry["actor"] == format!("user:{}", ann.id)));
}

/// Makes somebody an operator of the platform.
fn appoint(app: &App, user: &User) {
    let output = app.switchboard(&["create-admin", "--email", &user.email, "--platform", "operator"], &[], "");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn what_an_operator_of_the_platform_signs_in_with_is_changed_by_nobody_else() {
    let app = App::start_api_only().await;
    let ann = app.register("ann").await;
    let (max, sam) = (app.colleague(&ann, "max", "admin").await, app.colleague(&ann, "sam", "agent").await);
    appoint(&app, &sam);
    let (desk, platform) = (format!("/api/users/{}", number(&app, &sam).await), format!("/api/auth/users/{}", sam.id));
    for other in [&ann, &max] {
        for change in [json!({"password": "now it is mine"}), json!({"email": "mine@example.com"})] {
            let refused = app.patch(other, &platform, change.clone()).await.expect(403);
            assert_eq!(refused["status_code"], json!(403));
            assert!(refused["detail"].as_str().unwrap().contains("ask them"), "{refused}");
            app.patch(other, &desk, change).await.expect(403);
        }
        app.patch(other, &desk, json!({"username": "mine"})).await.expect(403);
    }
    let sign_in = "SELECT email || ' ' || username || ' ' || (password_changed_at IS NULL) FROM users WHERE username = 'sam'";
    assert_eq!(app.db.text(sign_in).await, "sam@example.com sam true");
    // What stays as it is, and what nobody signs in with, may come from others.
    app.patch(&max, &desk, json!({"email": sam.email, "username": "sam", "full_name": "Samantha"})).await.expect(200);
    app.patch(&sam, &platform, json!({"password": "my own new secret", "email": "new@example.com"})).await.expect(200);
    let login = json!({"email": "new@example.com", "password": "my own new secret"});
    app.call("POST", "/api/auth/login", None, login).await.expect(200);
    app.patch(&max, &platform, json!({"role": "admin"})).await.expect(200);
    app.patch(&max, &platform, json!({"active": false})).await.expect(200);
}

#[tokio::test]
async fn whoever_takes_a_deleted_operators_name_is_no_operator() {
    let app = App::start_api_only().await;
    let ann = app.register("ann").await;
    let sam = app.colleague(&ann, "sam", "agent").await;
    appoint(&app, &sam);
    app.get(&sam, "/api/ops/overview").await.expect(200);
    app.delete(&ann, &format!("/api/auth/users/{}", sam.id)).await.expect(204);
    assert_eq!(app.db.count("SELECT count(*) FROM platform_operators").await, 0);
    let body = json!({"email": sam.email, "password": PASSWORD, "name": "Sam"});
    let again = app.post(&ann, "/api/auth/users", body).await.expect(201);
    assert_ne!(again["id"], json!(sam.id));
    app.get(&app.sign_in(&sam.email).await, "/api/ops/overview").await.expect(403);
}

#[tokio::test]
async fn a_change_that_waits_while_its_user_becomes_an_operator_is_refused() {
    let app = App::start_api_only().await;
    let ann = app.register("ann").await;
    let sam = app.colleague(&ann, "sam", "agent").await;
    let mut appointment = app.db.pool().begin().await.unwrap();
    let row = format!("INSERT INTO platform_operators (tenant_id, user_id, may_act) VALUES ({}, '{}', true)", sam.tenant_number, sam.id);
    sqlx::Executor::execute(&mut *appointment, sqlx::AssertSqlSafe(row)).await.unwrap();
    let path = format!("/api/auth/users/{}", sam.id);
    let attempt = app.patch(&ann, &path, json!({"password": "now it is mine"}));
    let commit = async {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        until("the request waits", async || app.db.count(waiting).await == 1).await;
        appointment.commit().await.unwrap();
    };
    let (refused, ()) = tokio::join!(attempt, commit);
    refused.expect(403);
    assert_eq!(app.sign_in(&sam.email).await.id, sam.id);
}
