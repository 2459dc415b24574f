//! The settings from a list of variables.

use super::*;

const DATABASE: (&str, &str) = ("DATABASE_URL", "postgres://app:hunter2@db:5432/main");

fn load(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::from_lookup(|wanted| variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned()))
}

fn with(variable: &'static str, value: &'static str) -> Result<Config, ConfigError> {
    load(&[DATABASE, (variable, value)])
}

#[test]
fn only_the_database_is_required() {
    let config = load(&[DATABASE]).unwrap();
    assert_eq!((config.host.to_string().as_str(), config.port, config.metrics_port), ("0.0.0.0", 3000, None));
    assert_eq!(&*config.database_url, DATABASE.1);
    assert_eq!((config.dispatch, config.log_format, config.development), (DispatchMode::Redis, LogFormat::Text, false));
    assert_eq!((config.raw_retention_days, config.done_retention_days), (14, 7));
    assert_eq!((config.worker_heartbeat.as_millis(), config.worker_dead_after.as_millis()), (2_000, 10_000));
    assert_eq!((config.inbox_max_events, config.inbox_max_bytes), (20_000, 268_435_456));
    assert!(config.redis_url.is_none() && config.meta_app_secret.is_none() && config.meta_verify_tokens.is_empty());

    let error = load(&[]).unwrap_err();
    assert_eq!(error.variable, "DATABASE_URL");
    assert!(error.to_string().starts_with("DATABASE_URL is not set: give the address of Postgres"));
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let config = load(&[DATABASE, ("PORT", ""), ("META_APP_SECRET", "  "), ("REDIS_URL", ""), ("LOG_FORMAT", "")]).unwrap();
    assert_eq!(config.port, 3000);
    assert!(config.meta_app_secret.is_none() && config.redis_url.is_none());
    assert_eq!(load(&[("DATABASE_URL", "")]).unwrap_err().problem, "is not set");
}

#[test]
fn an_error_names_the_variable_and_not_its_value() {
    for (variable, value) in [
        ("PORT", "70000"),
        ("HOST", "example.org"),
        ("DISPATCH", "carrier"),
        ("LOG_FORMAT", "xml"),
        ("INBOX_MAX_BYTES", "1000"),
        ("DATABASE_CONNECTIONS", "0"),
        ("SWITCHBOARD_BENCH_JOBS", "maybe"),
        ("REDIS_URL", "cache:6379"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
    ] {
        let error = with(variable, value).unwrap_err();
        assert_eq!(error.variable, variable);
        assert!(!error.to_string().contains(value), "{error}");
    }
}

#[test]
fn redis_is_an_address_or_a_host_and_a_port_or_unused() {
    let url = |variables: &[(&'static str, &'static str)]| {
        let all: Vec<_> = variables.iter().copied().chain([DATABASE]).collect();
        load(&all).unwrap().redis_url.map(|url| url.to_string())
    };
    assert_eq!(url(&[]), None);
    assert_eq!(url(&[("REDIS_HOST", "cache")]).as_deref(), Some("redis://cache:6379"));
    assert_eq!(url(&[("REDIS_PORT", "7000")]).as_deref(), Some("redis://localhost:7000"));
    assert_eq!(url(&[("REDIS_HOST", "::1"), ("REDIS_PORT", "7000")]).as_deref(), Some("redis://[::1]:7000"));
    assert_eq!(url(&[("REDIS_URL", "redis://a:1/2"), ("REDIS_HOST", "cache")]).as_deref(), Some("redis://a:1/2"));
}

#[test]
fn both_names_of_a_setting_are_read() {
    let config = load(&[DATABASE, ("META_VERIFY_TOKEN", "one"), ("FACEBOOK_VERIFY_TOKEN", "two")]).unwrap();
    assert_eq!(config.meta_verify_tokens.iter().map(Secret::expose).collect::<Vec<_>>(), ["one", "two"]);
    assert!(with("APP_ENV", "development").unwrap().development);
    assert!(with("NODE_ENV", "Development").unwrap().development);
    assert!(!with("NODE_ENV", "production").unwrap().development);
}

#[test]
fn a_worker_is_not_declared_dead_for_one_late_heartbeat() {
    assert_eq!(with("WORKER_DEAD_AFTER_MS", "3999").unwrap_err().variable, "WORKER_DEAD_AFTER_MS");
    assert!(with("WORKER_DEAD_AFTER_MS", "4000").is_ok());
}

#[test]
fn debug_output_shows_no_secret() {
    let config =
        load(&[DATABASE, ("META_APP_SECRET", "hunter3"), ("META_VERIFY_TOKEN", "hunter4"), ("REDIS_URL", "redis://:hunter5@cache")])
            .unwrap();
    let shown = format!("{config:?}");
    assert!(!shown.contains("hunter"), "{shown}");
    assert!(shown.contains("postgres://app@db:5432/main"), "{shown}");
}
