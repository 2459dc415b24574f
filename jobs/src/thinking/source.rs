//! Where a tenant's answers come from, and what they cost.

use crate::Services;
use ai::{Model, Usage, service::AgentService};
use domain::TenantId;
use platform::{Secret, config::ModelPrice};
use reqwest::Url;
use store::{
    answering::Answering,
    model_settings::{ModelSettings, Taken, key_place},
};

/// Who answers.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// Nothing is set up: what was heard is repeated.
    Echo,
    /// A model behind this client; `name`: for agents that name none.
    Model {
        model: Model,
        http: reqwest::Client,
        name: String,
    },
    Service(AgentService),
}

impl Source {
    /// Whom a tenant's agents ask. An error says what is wrong with its settings.
    pub(crate) fn of(services: &Services, tenant: TenantId, settings: &ModelSettings) -> Result<Self, String> {
        let agents = &services.agents;
        let service = agents.service.clone().map(Self::Service);
        match settings.provider.as_deref() {
            Some("http") => {
                service.ok_or_else(|| "the tenant's provider is an agent service, and the server has none (AGENT_SERVICE_URL)".to_owned())
            }
            provider => match Self::model(services, tenant, settings)? {
                Some(model) => Ok(model),
                None => Ok(service.filter(|_| provider.is_none()).unwrap_or(Self::Echo)),
            },
        }
    }

    /// The tenant's own model, or the server's. The server's key never goes to an address that a tenant chose.
    fn model(services: &Services, tenant: TenantId, settings: &ModelSettings) -> Result<Option<Self>, String> {
        let agents = &services.agents;
        let name = settings.model.clone().unwrap_or_else(|| agents.default_model.clone());
        let Some(sealed) = &settings.api_key else {
            return Ok(agents.model.clone().map(|model| Self::Model { model, http: services.http.clone(), name }));
        };
        let key: Secret = services.sealing.open(&key_place(tenant), sealed).map_err(|error| {
            tracing::error!(%error, %tenant, "a tenant's key of its model cannot be opened");
            "the tenant's key of its model cannot be opened".to_owned()
        })?;
        let base_url = settings.base_url.clone().unwrap_or_else(|| agents.openai_base_url.clone());
        let url = Url::parse(&base_url).map_err(|_| "the address of the tenant's model is none".to_owned())?;
        // What a tenant names may be anything; what the server is set up with is the operator's.
        let http = match settings.base_url {
            Some(_) => services.guarded.client_for(&url).map_err(|refused| format!("the tenant's model cannot be asked: {refused}"))?,
            None => &services.http,
        };
        Ok(Some(Self::Model { model: Model { base_url, key, patience: agents.patience }, http: http.clone(), name }))
    }
}

/// Why no model may be asked this month any more.
pub(crate) fn over_budget(answering: &Answering) -> Option<String> {
    let settings = &answering.model;
    if let Some(most) = settings.monthly_tokens.filter(|most| answering.used_tokens >= *most) {
        return Some(format!("the tenant's budget of {most} tokens a month is used up"));
    }
    let most = settings.monthly_cost_micros.filter(|most| answering.used_cost_micros >= *most)?;
    Some(format!("the tenant's budget of {}.{:02} dollars a month is used up", most / 1_000_000, most % 1_000_000 / 10_000))
}

/// What models cost.
#[derive(Clone, Debug, Default)]
pub struct Prices(pub Vec<ModelPrice>);

impl Prices {
    /// What this took. Models without a price cost nothing.
    pub(crate) fn taken(&self, model: &str, usage: Usage) -> Taken {
        let prices = self.0.iter().filter(|price| model.starts_with(&price.model)).max_by_key(|price| price.model.len());
        let (prompt, completion) = (u64::from(usage.prompt_tokens), u64::from(usage.completion_tokens));
        let cost = prices
            .map_or(0, |price| prompt.saturating_mul(price.prompt).saturating_add(completion.saturating_mul(price.completion)) / 1_000_000);
        Taken {
            prompt_tokens: usage.prompt_tokens.into(),
            completion_tokens: usage.completion_tokens.into(),
            cost_micros: i64::try_from(cost).unwrap_or(i64::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_name_that_fits_decides_the_price() {
        let price = |model: &str, prompt, completion| ModelPrice { model: model.to_owned(), prompt, completion };
        let prices = Prices(vec![price("gpt-4o", 2_500_000, 10_000_000), price("gpt-4o-mini", 150_000, 600_000)]);
        let usage = Usage { prompt_tokens: 1_000_000, completion_tokens: 500_000 };
        assert_eq!(prices.taken("gpt-4o-mini-2024-07-18", usage).cost_micros, 450_000);
        assert_eq!(prices.taken("gpt-4o-2024-11-20", usage).cost_micros, 7_500_000);
        let other = Taken { prompt_tokens: 1_000_000, completion_tokens: 500_000, cost_micros: 0 };
        assert_eq!(prices.taken("llama", usage), other);
    }
}
