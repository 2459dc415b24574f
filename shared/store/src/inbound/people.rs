//! Who a message is from (or to): the customer and the conversation, found, made or merged.

use super::{
    Located, NewIdentity, PeopleCache, effective_time, merge,
    messages::{NewMessages, NewRow},
    of_kind,
    people_cache::{KnownPerson, PersonKey},
    person_names::{NewCustomer, TenantWide, phone_number, tenant_wide},
    profiles::{self, Told},
};
use crate::{StoreError, channel_instances::ChannelRef};
use chrono::{DateTime, Utc};
use domain::{ConversationId, CustomerId, EventBody};
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use uuid::Uuid;

/// The people of a batch.
#[derive(Debug, Default)]
pub(super) struct People {
    /// Of each message, in their order. `None`: seen before, and its conversation is closed.
    pub(super) conversations: Vec<Option<ConversationId>>,
    /// Who was not remembered.
    pub(super) learned: Vec<(PersonKey, KnownPerson)>,
    /// Ids that were not known before.
    pub(super) introduced: Vec<NewIdentity>,
}

/// Which customer each of a channel's external ids, and each name that holds for a whole tenant, belongs to.
#[derive(Default)]
struct Directory {
    identities: BTreeMap<(ChannelKey, String), CustomerId>,
    tenant_wide: BTreeMap<(i32, TenantWide), CustomerId>,
    /// Identities and customers to write, in the order of their keys.
    new_identities: BTreeSet<(ChannelKey, String)>,
    new_customers: BTreeMap<CustomerId, NewCustomer>,
    /// (tenant, the one that stays, the one that goes)
    merges: Vec<(i32, CustomerId, CustomerId)>,
}

type ChannelKey = (i32, Uuid);

fn channel_key(channel: ChannelRef) -> ChannelKey {
    (channel.tenant_id.0, channel.id.0)
}

fn external_ids(key: &PersonKey) -> impl Iterator<Item = &String> {
    key.phone.iter().chain(&key.user_id)
}

/// Resolves everybody whom `messages` (and changes of identity in `items`) name.
pub(super) async fn resolve(
    conn: &mut PgConnection,
    cache: &PeopleCache,
    items: &[Located],
    messages: &NewMessages<'_>,
) -> Result<People, StoreError> {
    let mut people = People::default();
    let mut unknown: BTreeMap<_, (PersonKey, Option<Told>)> = BTreeMap::new();
    for NewRow { item, message, person: key, .. } in &messages.rows {
        // The name that an echo carries is the customer's too.
        let name = message.person.name.as_deref();
        let conversation = cache.conversation_of(key, name);
        if conversation.is_none() {
            let entry = unknown.entry((channel_key(key.channel), &key.phone, &key.user_id)).or_insert_with(|| (key.clone(), None));
            let told = name.map(|text| Told { at: effective_time(message.sent_at, item.received_at), text: text.to_owned() });
            entry.1 = Told::newer(entry.1.take(), told);
        }
        people.conversations.push(conversation);
    }
    let changes: Vec<(PersonKey, PersonKey, DateTime<Utc>)> =
        of_kind(items, |body| if let EventBody::PersonChanged(c) = body { Some(c) } else { None })
            .into_iter()
            .map(|(item, c)| {
                (PersonKey::of(item.channel, &c.old), PersonKey::of(item.channel, &c.new), effective_time(c.at, item.received_at))
            })
            .collect();
    if unknown.is_empty() && changes.is_empty() {
        return Ok(people);
    }
    let unknown: Vec<(PersonKey, Option<Told>)> = unknown.into_values().collect();
    let mut directory = read(conn, unknown.iter().map(|(key, _)| key).chain(changes.iter().flat_map(|(old, new, _)| [old, new]))).await?;
    for (key, name) in &unknown {
        directory.place(&[key], name.as_ref());
    }
    for (old, new, _) in &changes {
        directory.place(&[old, new], None);
    }
    directory.write(conn).await?;
    let is_new = |channel, id: &&String| directory.new_identities.contains(&(channel_key(channel), (*id).clone()));
    people.introduced = unknown
        .iter()
        .flat_map(|(key, _)| external_ids(key).filter(|id| is_new(key.channel, id)).map(|id| (key.channel, id)))
        .map(|(channel, id)| NewIdentity { channel, external_id: id.clone() })
        .collect();
    directory.hold(conn).await?;
    for (tenant, keep, drop) in &directory.merges {
        merge::customers(conn, *tenant, *keep, *drop).await?;
    }
    for (old, new, at) in &changes {
        if let (Some(customer), Some(phone)) = (directory.customer_of(old), new.phone.as_deref().and_then(phone_number)) {
            profiles::change_phone(conn, old.channel.tenant_id.0, customer, &phone, *at).await?;
        }
    }
    let told = unknown.iter().filter_map(|(key, name)| {
        let customer = directory.customer_of(key).filter(|c| !directory.new_customers.contains_key(c))?;
        Some(((key.channel.tenant_id.0, customer), (name.clone(), key.phone.as_deref().and_then(phone_number))))
    });
    profiles::fill_in(conn, told).await?;
    let customers: Vec<(PersonKey, Option<String>, CustomerId)> = unknown
        .into_iter()
        .filter_map(|(key, name)| directory.customer_of(&key).map(|customer| (key, name.map(|told| told.text), customer)))
        .collect();
    let conversations = conversations(conn, messages, &customers).await?;
    let found: HashMap<&PersonKey, ConversationId> = customers
        .iter()
        .filter_map(|(key, _, customer)| Some((key, *conversations.get(&(channel_key(key.channel), *customer))?)))
        .collect();
    for (row, conversation) in messages.rows.iter().zip(&mut people.conversations) {
        *conversation = conversation.or_else(|| found.get(&row.person).copied());
    }
    let learned = customers.iter().filter_map(|(key, name, _)| {
        let known = KnownPerson { conversation_id: *found.get(key)?, name: name.clone() };
        Some((key.clone(), known))
    });
    people.learned = learned.collect();
    Ok(people)
}

impl Directory {
    fn customer_of(&self, key: &PersonKey) -> Option<CustomerId> {
        external_ids(key).find_map(|id| self.identities.get(&(channel_key(key.channel), id.clone())).copied())
    }

    /// Finds the one customer that all of `keys` (names of one person) belong to: made if there is none, merged if several.
    fn place(&mut self, keys: &[&PersonKey], name: Option<&Told>) {
        let mut owners = BTreeSet::new();
        for key in keys {
            let tenant = key.channel.tenant_id.0;
            owners.extend(tenant_wide(key).filter_map(|name| self.tenant_wide.get(&(tenant, name)).copied()));
            owners.extend(external_ids(key).filter_map(|id| self.identities.get(&(channel_key(key.channel), id.clone())).copied()));
        }
        // Ids sort by age: the oldest stays.
        let Some(tenant) = keys.first().map(|key| key.channel.tenant_id.0) else { return };
        let keep = owners.first().copied().unwrap_or_else(|| {
            let id = CustomerId::generate();
            let names = keys.iter().flat_map(|key| tenant_wide(key)).collect();
            self.new_customers.insert(id, NewCustomer { tenant, names, told: name.cloned() });
            id
        });
        for drop in owners.into_iter().skip(1) {
            self.merges.push((tenant, keep, drop));
            self.identities
                .values_mut()
                .chain(self.tenant_wide.values_mut())
                .filter(|owner| **owner == drop)
                .for_each(|owner| *owner = keep);
        }
        for key in keys {
            for id in external_ids(key) {
                let identity = (channel_key(key.channel), id.clone());
                if self.identities.insert(identity.clone(), keep).is_none() {
                    self.new_identities.insert(identity);
                }
            }
            for name in tenant_wide(key) {
                self.tenant_wide.entry((tenant, name)).or_insert(keep);
            }
        }
    }

    /// Writes what is new. Losing a race for a new person against another batch is `Stale`: run it again.
    async fn write(&self, conn: &mut PgConnection) -> Result<(), StoreError> {
        if !self.new_identities.is_empty() {
            let owners: Vec<Uuid> = self.new_identities.iter().filter_map(|id| self.identities.get(id)).map(|c| c.0).collect();
            let made = sqlx::query!(
                "INSERT INTO customer_identities (tenant_id, channel_instance_id, external_id, customer_id)
                 SELECT * FROM unnest($1::int4[], $2::uuid[], $3::text[], $4::uuid[])
                 ON CONFLICT (tenant_id, channel_instance_id, external_id) DO NOTHING",
                &self.new_identities.iter().map(|id| id.0.0).collect::<Vec<_>>(),
                &self.new_identities.iter().map(|id| id.0.1).collect::<Vec<_>>(),
                &self.new_identities.iter().map(|id| id.1.as_str()).collect::<Vec<_>>() as _,
                &owners
            )
            .execute(&mut *conn)
            .await?;
            if made.rows_affected() < self.new_identities.len() as u64 {
                return Err(StoreError::Stale("an identity"));
            }
        }
        if self.new_customers.is_empty() {
            return Ok(());
        }
        // By the names for the whole tenant, not by id: these are the keys that two batches can meet on.
        let mut rows: Vec<_> = self.new_customers.iter().collect();
        rows.sort_by(|a, b| (a.1.tenant, &a.1.names, a.0).cmp(&(b.1.tenant, &b.1.names, b.0)));
        let made = sqlx::query!(
            "INSERT INTO customers (tenant_id, id, phone_number, instagram_psid, facebook_psid, name, name_at)
             SELECT * FROM unnest($1::int4[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
             ON CONFLICT DO NOTHING",
            &rows.iter().map(|r| r.1.tenant).collect::<Vec<_>>(),
            &rows.iter().map(|r| r.0.0).collect::<Vec<_>>(),
            &rows.iter().map(|r| r.1.phone()).collect::<Vec<_>>() as _,
            &rows.iter().map(|r| r.1.instagram()).collect::<Vec<_>>() as _,
            &rows.iter().map(|r| r.1.facebook()).collect::<Vec<_>>() as _,
            &rows.iter().map(|r| r.1.told.as_ref().map(|told| told.text.as_str())).collect::<Vec<_>>() as _,
            &rows.iter().map(|r| r.1.told.as_ref().map(|told| told.at)).collect::<Vec<_>>() as _,
        )
        .execute(conn)
        .await?;
        if made.rows_affected() < rows.len() as u64 { Err(StoreError::Stale("a customer")) } else { Ok(()) }
    }
}

impl Directory {
    /// Keeps the known customers from being merged away until the transaction ends; if one of them was, read again.
    async fn hold(&self, conn: &mut PgConnection) -> Result<(), StoreError> {
        let known: BTreeSet<(i32, CustomerId)> = self
            .identities
            .iter()
            .map(|((channel, _), customer)| (channel.0, *customer))
            .filter(|(_, customer)| !self.new_customers.contains_key(customer))
            .collect();
        let held = sqlx::query_scalar!(
            "SELECT c.id FROM unnest($1::int4[], $2::uuid[]) w(tenant_id, id)
             JOIN customers c ON c.tenant_id = w.tenant_id AND c.id = w.id AND c.merged_into IS NULL
             ORDER BY c.tenant_id, c.id FOR KEY SHARE OF c",
            &known.iter().map(|k| k.0).collect::<Vec<_>>(),
            &known.iter().map(|k| k.1.0).collect::<Vec<_>>()
        )
        .fetch_all(conn)
        .await?;
        if held.len() < known.len() { Err(StoreError::Stale("a customer")) } else { Ok(()) }
    }
}

async fn read(conn: &mut PgConnection, keys: impl Iterator<Item = &PersonKey> + Clone) -> Result<Directory, StoreError> {
    let mut directory = Directory::default();
    let wanted: BTreeSet<(ChannelKey, &String)> =
        keys.clone().flat_map(|key| external_ids(key).map(|id| (channel_key(key.channel), id))).collect();
    let identities = sqlx::query!(
        r#"SELECT i.tenant_id, i.channel_instance_id, i.external_id, coalesce(c.merged_into, c.id) AS "customer_id!"
           FROM unnest($1::int4[], $2::uuid[], $3::text[]) w(tenant_id, channel_instance_id, external_id)
           JOIN customer_identities i ON i.tenant_id = w.tenant_id AND i.channel_instance_id = w.channel_instance_id AND i.external_id = w.external_id
           JOIN customers c ON c.tenant_id = i.tenant_id AND c.id = i.customer_id"#,
        &wanted.iter().map(|w| w.0.0).collect::<Vec<_>>(),
        &wanted.iter().map(|w| w.0.1).collect::<Vec<_>>(),
        &wanted.iter().map(|w| w.1.as_str()).collect::<Vec<_>>() as _
    )
    .fetch_all(&mut *conn)
    .await?;
    directory
        .identities
        .extend(identities.into_iter().map(|r| (((r.tenant_id, r.channel_instance_id), r.external_id), CustomerId(r.customer_id))));
    let names: BTreeSet<(i32, TenantWide)> = keys.flat_map(|key| tenant_wide(key).map(|name| (key.channel.tenant_id.0, name))).collect();
    let (mut phones, mut page_scoped) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new(), Vec::new()));
    for (tenant, name) in &names {
        match name {
            TenantWide::Phone(phone) => {
                phones.0.push(*tenant);
                phones.1.push(phone.as_str());
            }
            TenantWide::Instagram(id) | TenantWide::Facebook(id) => {
                page_scoped.0.push(*tenant);
                page_scoped.1.push(id.as_str());
                page_scoped.2.push(matches!(name, TenantWide::Instagram(_)));
            }
        }
    }
    let owners = sqlx::query!(
        r#"SELECT c.tenant_id, c.phone_number AS "phone_number!", coalesce(c.merged_into, c.id) AS "id!" FROM unnest($1::int4[], $2::text[]) w(tenant_id, phone_number)
           JOIN customers c ON c.tenant_id = w.tenant_id AND c.phone_number = w.phone_number"#,
        &phones.0,
        &phones.1 as _
    )
    .fetch_all(&mut *conn)
    .await?;
    directory.tenant_wide.extend(owners.into_iter().map(|r| ((r.tenant_id, TenantWide::Phone(r.phone_number)), CustomerId(r.id))));
    if !page_scoped.0.is_empty() {
        let owners = sqlx::query!(
            r#"SELECT w.tenant_id AS "tenant_id!", w.id AS "name!", w.instagram AS "instagram!", coalesce(c.merged_into, c.id) AS "id!"
               FROM unnest($1::int4[], $2::text[], $3::bool[]) w(tenant_id, id, instagram)
               CROSS JOIN LATERAL (
                 SELECT id, merged_into FROM customers c WHERE w.instagram AND c.tenant_id = w.tenant_id AND c.instagram_psid = w.id
                 UNION ALL SELECT id, merged_into FROM customers c WHERE NOT w.instagram AND c.tenant_id = w.tenant_id AND c.facebook_psid = w.id) c"#,
            &page_scoped.0,
            &page_scoped.1 as _,
            &page_scoped.2
        )
        .fetch_all(conn)
        .await?;
        directory.tenant_wide.extend(owners.into_iter().map(|r| {
            let name = if r.instagram { TenantWide::Instagram(r.name) } else { TenantWide::Facebook(r.name) };
            ((r.tenant_id, name), CustomerId(r.id))
        }));
    }
    Ok(directory)
}

/// The live conversation of each customer: found, or made if a message of the batch is really new. (A message seen before,
/// whose conversation was closed since, must not open an empty one.)
async fn conversations(
    conn: &mut PgConnection,
    messages: &NewMessages<'_>,
    customers: &[(PersonKey, Option<String>, CustomerId)],
) -> Result<HashMap<(ChannelKey, CustomerId), ConversationId>, StoreError> {
    let owner: HashMap<&PersonKey, CustomerId> = customers.iter().map(|(key, _, customer)| (key, *customer)).collect();
    let wanted: BTreeSet<(ChannelKey, CustomerId)> =
        customers.iter().map(|(key, _, customer)| (channel_key(key.channel), *customer)).collect();
    let mut found = live(conn, &wanted).await?;
    let missing: HashSet<_> = wanted.iter().filter(|w| !found.contains_key(*w)).copied().collect();
    if missing.is_empty() {
        return Ok(found);
    }
    let candidates: Vec<_> = messages
        .rows
        .iter()
        .filter_map(|row| {
            let place = (channel_key(row.person.channel), *owner.get(&row.person)?);
            missing.contains(&place).then_some((place, row.message.external_id.as_str()))
        })
        .collect();
    let seen: HashSet<(Uuid, String)> = sqlx::query!(
        r#"SELECT m.channel_instance_id, m.external_id AS "external_id!" FROM unnest($1::int4[], $2::uuid[], $3::text[]) w(tenant_id, channel_instance_id, external_id)
           JOIN chat_messages m ON m.tenant_id = w.tenant_id AND m.channel_instance_id = w.channel_instance_id AND m.external_id = w.external_id
           WHERE m.conversation_id IS NOT NULL"#,
        &candidates.iter().map(|c| c.0.0.0).collect::<Vec<_>>(),
        &candidates.iter().map(|c| c.0.0.1).collect::<Vec<_>>(),
        &candidates.iter().map(|c| c.1).collect::<Vec<_>>() as _
    )
    .fetch_all(&mut *conn)
    .await?
    .into_iter()
    .map(|r| (r.channel_instance_id, r.external_id))
    .collect();
    let to_open: BTreeSet<_> =
        candidates.into_iter().filter(|(place, id)| !seen.contains(&(place.0.1, (*id).to_owned()))).map(|(place, _)| place).collect();
    let sources: HashMap<ChannelKey, &str> =
        messages.rows.iter().map(|row| (channel_key(row.person.channel), row.person.channel.kind.source())).collect();
    sqlx::query!(
        "INSERT INTO chat_conversations (tenant_id, id, channel_instance_id, customer_id, channel_source)
         SELECT n.tenant_id, n.id, n.channel_instance_id, n.customer_id, n.source
         FROM unnest($1::int4[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[]) n(tenant_id, id, channel_instance_id, customer_id, source)
         ON CONFLICT (tenant_id, channel_instance_id, customer_id) WHERE status <> 'closed' DO NOTHING",
        &to_open.iter().map(|o| o.0.0).collect::<Vec<_>>(),
        &to_open.iter().map(|_| ConversationId::generate().0).collect::<Vec<_>>(),
        &to_open.iter().map(|o| o.0.1).collect::<Vec<_>>(),
        &to_open.iter().map(|o| o.1.0).collect::<Vec<_>>(),
        &to_open.iter().map(|o| sources.get(&o.0).copied().unwrap_or_default()).collect::<Vec<_>>() as _,
    )
    .execute(&mut *conn)
    .await?;
    let opened = live(conn, &to_open).await?;
    if opened.len() < to_open.len() {
        return Err(StoreError::Stale("a conversation"));
    }
    found.extend(opened);
    Ok(found)
}

async fn live(
    conn: &mut PgConnection,
    wanted: &BTreeSet<(ChannelKey, CustomerId)>,
) -> Result<HashMap<(ChannelKey, CustomerId), ConversationId>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT c.tenant_id, c.channel_instance_id, c.customer_id, c.id
           FROM unnest($1::int4[], $2::uuid[], $3::uuid[]) w(tenant_id, channel_instance_id, customer_id)
           JOIN chat_conversations c ON c.tenant_id = w.tenant_id AND c.channel_instance_id = w.channel_instance_id
             AND c.customer_id = w.customer_id AND c.status <> 'closed'"#,
        &wanted.iter().map(|w| w.0.0).collect::<Vec<_>>(),
        &wanted.iter().map(|w| w.0.1).collect::<Vec<_>>(),
        &wanted.iter().map(|w| w.1.0).collect::<Vec<_>>()
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|r| (((r.tenant_id, r.channel_instance_id), CustomerId(r.customer_id)), ConversationId(r.id))).collect())
}
