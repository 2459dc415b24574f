//! Tokens that are good, and all the ways in which they are not.

use super::*;
use chrono::TimeDelta;
use serde_json::{Value, json};

const NOW: DateTime<Utc> = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
/// RSA keys for these tests only.
const KEY: &str = include_str!("test_key.pem");
const OTHER_KEY: &str = include_str!("test_other_key.pem");
const OTHER_PUBLIC: &str = include_str!("test_other_public.pem");

fn config(private_key: Option<&str>, old_public: Option<&str>, secret: Option<&str>) -> HttpConfig {
    let lookup = |variable: &str| match variable {
        "JWT_PRIVATE_KEY" => private_key.map(str::to_owned),
        "JWT_OLD_PUBLIC_KEYS" => old_public.map(str::to_owned),
        "JWT_SECRET" => secret.map(str::to_owned),
        "DATABASE_URL" => Some("postgres://db/main".to_owned()),
        _ => None,
    };
    platform::Config::from_lookup(lookup).unwrap().http
}

fn claims() -> Claims {
    let (user, tenant) = (UserId::generate(), Uuid::new_v4());
    Claims {
        sub: user,
        user_id: user,
        user_id_camel: user,
        tenant_id: tenant,
        tenant_id_camel: tenant,
        email: Some("a@b.co".to_owned()),
        role: UserRole::Admin,
        contract: "cloud".to_owned(),
        iat: NOW.timestamp(),
        exp: NOW.timestamp() + 900,
        jti: Uuid::new_v4(),
        sid: SessionId::generate(),
        tid: TenantId(7),
    }
}

fn tampered(token: &str, header: &Value) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    parts[0] = URL_SAFE_NO_PAD.encode(header.to_string());
    parts.join(".")
}

#[test]
fn a_token_is_good_until_it_expires() {
    for tokens in [Tokens::new(&config(Some(KEY), None, None)).unwrap(), Tokens::new(&config(None, None, Some("s"))).unwrap()] {
        let token = tokens.sign(&claims()).unwrap();
        assert_eq!(tokens.verify(&token, NOW).unwrap().tid, TenantId(7));
        assert!(tokens.verify(&token, NOW + TimeDelta::seconds(900)).is_none());
    }
}

#[test]
fn the_claims_have_the_names_that_the_contracts_give() {
    let value = serde_json::to_value(claims()).unwrap();
    for name in ["sub", "user_id", "userId", "tenant_id", "tenantId", "email", "role", "contract", "iat", "exp", "jti"] {
        assert!(value.get(name).is_some(), "{name}");
    }
    assert_eq!((&value["user_id"], &value["userId"], &value["role"]), (&value["sub"], &value["sub"], &json!("admin")));
}

#[test]
fn a_token_with_another_algorithm_or_key_is_refused() {
    let rs = Tokens::new(&config(Some(KEY), None, Some("s"))).unwrap();
    let hs = Tokens::new(&config(None, None, Some("s"))).unwrap();
    let good = rs.sign(&claims()).unwrap();
    assert!(hs.verify(&good, NOW).is_none() && rs.verify(&hs.sign(&claims()).unwrap(), NOW).is_none());
    // An HS256 token whose secret is the public key, which everybody knows.
    let mut header = Header::new(Algorithm::HS256);
    header.kid.clone_from(&rs.header.kid);
    let public = serde_json::to_vec(&rs.jwks).unwrap();
    let confused = jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(&public)).unwrap();
    assert!(rs.verify(&confused, NOW).is_none());
    for algorithm in ["none", "None", "HS256", "RS384", "PS256"] {
        let forged = tampered(&good, &json!({"alg": algorithm, "typ": "JWT", "kid": rs.header.kid}));
        assert!(rs.verify(&forged, NOW).is_none(), "{algorithm}");
        let unsigned = format!("{}.", forged.rsplit_once('.').unwrap().0);
        assert!(rs.verify(&unsigned, NOW).is_none(), "{algorithm}");
    }
    for garbage in ["", ".", "..", "a.b.c", &good[1..], &good[..good.len() - 1]] {
        assert!(rs.verify(garbage, NOW).is_none(), "{garbage}");
    }
}

#[test]
fn a_rotated_key_still_verifies_and_is_published() {
    let before = Tokens::new(&config(Some(OTHER_KEY), None, None)).unwrap();
    let token = before.sign(&claims()).unwrap();
    let after = Tokens::new(&config(Some(KEY), Some(OTHER_PUBLIC), None)).unwrap();
    assert!(after.verify(&token, NOW).is_some());
    assert!(Tokens::new(&config(Some(KEY), None, None)).unwrap().verify(&token, NOW).is_none());
    let ids: Vec<_> = after.jwks().keys.iter().map(|key| key.common.key_id.clone()).collect();
    assert_eq!((ids.len(), &ids[1]), (2, &before.header.kid));
    let published = serde_json::to_string(after.jwks()).unwrap();
    assert!(!published.contains("\"d\"") && published.contains("\"use\":\"sig\""), "{published}");
}

#[test]
fn a_key_that_is_none_is_named() {
    let error = Tokens::new(&config(Some("/nowhere/key.pem"), None, None)).unwrap_err();
    assert!(error.to_string().starts_with("JWT_PRIVATE_KEY cannot be used: it is neither PEM nor a file"), "{error}");
    assert!(Tokens::new(&config(Some("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"), None, None)).is_err());
}

#[test]
fn without_any_key_nobody_can_sign_in() {
    let tokens = Tokens::new(&config(None, None, None)).unwrap();
    assert!(!tokens.can_sign() && tokens.sign(&claims()).is_none());
    assert!(tokens.verify(&Tokens::new(&config(None, None, Some(""))).unwrap().sign(&claims()).unwrap_or_default(), NOW).is_none());
}
