//! Signing in at an OpenID provider, which is scripted after OpenID Connect Core 1.0 and Discovery 1.0.

use crate::harness::{App, Database, PASSWORD, Provider};
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// RSA keys for tests only.
const KEY: &str = include_str!("../../../api/src/auth/tokens/test_key.pem");
const OTHER_KEY: &str = include_str!("../../../api/src/auth/tokens/test_other_key.pem");
const CLIENT: &str = "switchboard-client";

fn jwk(pem: &str, id: &str) -> Value {
    let mut key = Jwk::from_encoding_key(&EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap(), Algorithm::RS256).unwrap();
    key.common.key_id = Some(id.to_owned());
    serde_json::to_value(key).unwrap()
}

fn sign(pem: &str, id: &str, claims: &Value) -> String {
    let mut header = Header::new(Algorithm::RS256);
    header.kid = Some(id.to_owned());
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap()).unwrap()
}

/// From the claims of a good ID token, what the provider says instead.
type Saying = Arc<Mutex<Box<dyn Fn(Value) -> Value + Send>>>;
/// The same, of which the test has several.
type Lie = fn(Value) -> Value;

/// An api with a provider, and what the provider will say about the person: claims over the good ones.
struct Scene {
    app: App,
    provider: Provider,
    token: Saying,
    /// What the provider publishes.
    keys: Arc<Mutex<Value>>,
}

fn query(url: &str, name: &str) -> String {
    let url = reqwest::Url::parse(url).unwrap();
    url.query_pairs().find(|(key, _)| key == name).unwrap_or_else(|| panic!("{name} in {url}")).1.into_owned()
}

impl Scene {
    async fn start(settings: &[(&str, &str)]) -> Self {
        let provider = Provider::start().await;
        let mut all = vec![("OIDC_ISSUER", provider.url.as_str()), ("OIDC_CLIENT_ID", CLIENT), ("OIDC_CLIENT_SECRET", "s3cret")];
        all.extend_from_slice(settings);
        let mut app = App::without_processes(Database::create().await, &all).await;
        app.start_api().await;
        let token: Saying = Arc::new(Mutex::new(Box::new(|claims| json!(sign(KEY, "k1", &claims)))));
        let scene = Self { app, provider, token, keys: Arc::new(Mutex::new(json!([jwk(KEY, "k1")]))) };
        scene.answer("");
        scene
    }

    /// The provider as it should be, for a sign-in with this nonce.
    fn answer(&self, nonce: &str) {
        let (url, nonce, token, keys) = (self.provider.url.clone(), nonce.to_owned(), self.token.clone(), self.keys.clone());
        self.provider.script(move |request| match request.line.as_str() {
            "GET /.well-known/openid-configuration" => (
                200,
                json!({"issuer": url, "authorization_endpoint": format!("{url}/authorize"), "token_endpoint": format!("{url}/token"), "jwks_uri": format!("{url}/keys")}),
            ),
            "GET /keys" => (200, json!({"keys": *keys.lock().unwrap()})),
            "POST /token" if request.body.contains("code=good") => {
                let claims = json!({"iss": url, "aud": CLIENT, "sub": "person-1", "exp": 4_000_000_000_u64, "iat": 1, "nonce": nonce,
                    "email": "ann@example.com", "email_verified": true, "name": "Ann Example"});
                (200, json!({"access_token": "x", "token_type": "Bearer", "id_token": (token.lock().unwrap())(claims)}))
            }
            "POST /token" => (400, json!({"error": "invalid_grant"})),
            other => panic!("the provider was asked {other}"),
        });
    }

    fn say(&self, token: impl Fn(Value) -> Value + Send + 'static) {
        *self.token.lock().unwrap() = Box::new(token);
    }

    /// Goes to the provider: (state, nonce, cookie).
    async fn begin(&self) -> (String, String, String) {
        let http = platform::http::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let away = http.get(self.app.url("/api/auth/oidc/login")).send().await.unwrap();
        assert_eq!(away.status(), 302);
        let location = away.headers()["location"].to_str().unwrap();
        assert!(location.starts_with(&format!("{}/authorize?", self.provider.url)), "{location}");
        assert_eq!((query(location, "response_type"), query(location, "client_id")), ("code".to_owned(), CLIENT.to_owned()));
        assert_eq!(
            (query(location, "code_challenge_method"), query(location, "scope")),
            ("S256".to_owned(), "openid email profile".to_owned())
        );
        assert!(query(location, "redirect_uri").ends_with("/api/auth/oidc/callback"));
        let cookie = away.headers()["set-cookie"].to_str().unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
        (query(location, "state"), query(location, "nonce"), cookie.split(';').next().unwrap().to_owned())
    }

    async fn callback(&self, target: &str, cookie: &str) -> crate::harness::Answer {
        self.app.send(self.app.request("GET", &format!("/api/auth/oidc/callback?{target}")).header("cookie", cookie)).await
    }

    async fn sign_in(&self) -> crate::harness::Answer {
        let (state, nonce, cookie) = self.begin().await;
        self.answer(&nonce);
        self.callback(&format!("code=good&state={state}"), &cookie).await
    }
}

#[tokio::test]
async fn somebody_new_becomes_an_owner_and_comes_back_as_the_same_person() {
    let scene = Scene::start(&[("OIDC_REGISTER", "true")]).await;
    let session = scene.sign_in().await.expect(200);
    assert_eq!(
        (&session["user"]["email"], &session["user"]["role"], &session["tenant"]["name"]),
        (&json!("ann@example.com"), &json!("owner"), &json!("Ann Example"))
    );
    let me = scene.app.call("GET", "/api/auth/me", session["accessToken"].as_str(), Value::Null).await.expect(200);
    assert_eq!(me["user"]["id"], session["user"]["id"]);
    // Exactly what the provider must be sent: the code with its PKCE verifier, and who we are.
    let exchange = scene.provider.received().into_iter().find(|request| request.line == "POST /token").unwrap();
    for part in ["grant_type=authorization_code", "code=good", "code_verifier=", "redirect_uri="] {
        assert!(exchange.body.contains(part), "{part} in {}", exchange.body);
    }
    assert!(exchange.head.to_ascii_lowercase().contains("authorization: basic "), "{}", exchange.head);
    // Known by the provider's id, whatever the e-mail is now.
    scene.say(|mut claims| {
        claims["email"] = json!("other@example.com");
        json!(sign(KEY, "k1", &claims))
    });
    let again = scene.sign_in().await.expect(200);
    assert_eq!(again["user"]["id"], session["user"]["id"]);
    assert_eq!(scene.app.db.count("SELECT count(*) FROM users").await, 1);
}

#[tokio::test]
async fn a_verified_address_links_an_account_whose_password_ends() {
    let scene = Scene::start(&[]).await;
    scene.sign_in().await.expect(403);
    let ann = scene.app.register("ann").await;
    scene.say(|mut claims| {
        claims["email_verified"] = json!(false);
        json!(sign(KEY, "k1", &claims))
    });
    scene.sign_in().await.expect(403);
    scene.app.get(&ann, "/api/auth/me").await.expect(200);
    scene.say(|claims| json!(sign(KEY, "k1", &claims)));
    let session = scene.sign_in().await.expect(200);
    assert_eq!(session["user"]["id"], json!(ann.id));
    scene.app.get(&ann, "/api/auth/me").await.expect(401);
    let login = json!({"email": ann.email, "password": PASSWORD});
    scene.app.call("POST", "/api/auth/login", None, login).await.expect(401);
    scene.app.db.run("UPDATE users SET active = false").await;
    scene.sign_in().await.expect(403);
}

#[tokio::test]
async fn a_token_that_is_not_good_signs_nobody_in() {
    let scene = Scene::start(&[("OIDC_REGISTER", "true")]).await;
    let lies: [(&str, Lie); 8] = [
        ("another key under a known id", |claims| json!(sign(OTHER_KEY, "k1", &claims))),
        ("an unknown key", |claims| json!(sign(OTHER_KEY, "k2", &claims))),
        ("another issuer", |mut claims| {
            claims["iss"] = json!("https://evil.example");
            json!(sign(KEY, "k1", &claims))
        }),
        ("another client", |mut claims| {
            claims["aud"] = json!("somebody-else");
            json!(sign(KEY, "k1", &claims))
        }),
        ("another sign-in", |mut claims| {
            claims["nonce"] = json!("x");
            json!(sign(KEY, "k1", &claims))
        }),
        ("expired", |mut claims| {
            claims["exp"] = json!(1_000_000_000);
            json!(sign(KEY, "k1", &claims))
        }),
        ("signed with a secret", |claims| {
            json!(jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(b"s3cret")).unwrap())
        }),
        ("not signed", |claims| {
            let token = sign(KEY, "k1", &claims);
            json!(format!("eyJhbGciOiJub25lIn0.{}.", token.split('.').nth(1).unwrap()))
        }),
    ];
    for (what, lie) in lies {
        scene.say(lie);
        let answer = scene.sign_in().await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.body);
    }
    scene.say(|_| Value::Null);
    scene.sign_in().await.expect(503);
    assert_eq!(scene.app.db.count("SELECT count(*) FROM users").await, 0);
}

#[tokio::test]
async fn a_sign_in_that_was_not_begun_here_does_not_end_here() {
    let scene = Scene::start(&[("OIDC_REGISTER", "true")]).await;
    let (state, nonce, cookie) = scene.begin().await;
    let (other_state, _, other_cookie) = scene.begin().await;
    scene.answer(&nonce);
    for (target, cookie) in [
        (format!("code=good&state={state}"), ""),
        (format!("code=good&state={state}"), "switchboard_oidc=nonsense"),
        (format!("code=good&state={state}"), other_cookie.as_str()),
        (format!("code=good&state={other_state}"), cookie.as_str()),
        ("code=good".to_owned(), cookie.as_str()),
        (format!("state={state}"), cookie.as_str()),
    ] {
        assert_eq!(scene.callback(&target, cookie).await.expect(400)["success"], json!(false), "{target}");
    }
    scene.callback(&format!("code=bad&state={state}"), &cookie).await.expect(401);
    let denied = scene.callback("error=access_denied", &cookie).await.expect(401);
    assert!(denied["message"].as_str().unwrap().contains("access_denied"));
    scene.provider.script(|_| (500, Value::Null));
    scene.callback(&format!("code=good&state={state}"), &cookie).await.expect(503);
    assert_eq!(scene.app.db.count("SELECT count(*) FROM users").await, 0);
}

#[tokio::test]
async fn tokens_go_to_the_frontends_page_in_the_fragment() {
    let scene = Scene::start(&[("OIDC_REGISTER", "true"), ("OIDC_SUCCESS_URL", "https://app.example.com/signed-in")]).await;
    let (state, nonce, cookie) = scene.begin().await;
    scene.answer(&nonce);
    let http = platform::http::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let url = scene.app.url(&format!("/api/auth/oidc/callback?code=good&state={state}"));
    let answer = http.get(url).header("cookie", cookie).send().await.unwrap();
    assert_eq!(answer.status(), 302);
    let location = answer.headers()["location"].to_str().unwrap();
    assert!(location.starts_with("https://app.example.com/signed-in#accessToken=ey"), "{location}");
    assert!(answer.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
}

#[tokio::test]
async fn without_a_provider_there_is_no_such_sign_in_and_no_key_to_publish() {
    let app = App::start_api_only().await;
    let answer = app.call("GET", "/api/auth/oidc/login", None, Value::Null).await.expect(404);
    assert!(answer["message"].as_str().unwrap().contains("OIDC_ISSUER"));
    assert_eq!(app.call("GET", "/.well-known/jwks.json", None, Value::Null).await.expect(200), json!({"keys": []}));
}

#[tokio::test]
async fn with_a_key_pair_tokens_are_verified_by_the_published_key_and_old_ones_by_theirs() {
    let mut app = App::without_processes(Database::create().await, &[("JWT_PRIVATE_KEY", KEY)]).await;
    app.start_api().await;
    let ann = app.register("ann").await;
    let keys = app.call("GET", "/.well-known/jwks.json", None, Value::Null).await.expect(200);
    let key: Jwk = serde_json::from_value(keys["keys"][0].clone()).unwrap();
    let header = jsonwebtoken::decode_header(&ann.token).unwrap();
    assert_eq!((header.alg, &header.kid), (Algorithm::RS256, &key.common.key_id));
    let mut validation = jsonwebtoken::Validation::new(Algorithm::RS256);
    validation.validate_aud = false;
    let claims =
        jsonwebtoken::decode::<Value>(&ann.token, &jsonwebtoken::DecodingKey::from_jwk(&key).unwrap(), &validation).unwrap().claims;
    assert_eq!((&claims["user_id"], &claims["tenantId"], &claims["contract"]), (&json!(ann.id), &json!(ann.tenant), &json!("cloud")));
    // The public key must not pass as a secret.
    let confused = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(KEY.as_bytes())).unwrap();
    app.call("GET", "/api/auth/me", Some(&confused), Value::Null).await.expect(401);
}

#[tokio::test]
async fn a_provider_may_change_its_keys_and_is_not_asked_for_them_again_and_again() {
    let scene = Scene::start(&[("OIDC_REGISTER", "true")]).await;
    scene.sign_in().await.expect(200);
    *scene.keys.lock().unwrap() = json!([jwk(OTHER_KEY, "k2")]);
    scene.say(|claims| json!(sign(OTHER_KEY, "k2", &claims)));
    scene.sign_in().await.expect(200);
    scene.sign_in().await.expect(200);
    scene.say(|claims| json!(sign(KEY, "k1", &claims)));
    for _ in 0..3 {
        scene.sign_in().await.expect(401);
    }
    let asked = scene.provider.received().iter().filter(|request| request.line == "GET /keys").count();
    assert!(asked < 5, "asked {asked} times: each unknown key was asked for");
}
