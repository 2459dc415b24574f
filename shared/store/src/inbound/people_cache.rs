//! Who wrote before, and in which conversation, remembered by the process. It may be out of date: the statement that moves
//! the conversation notices, and the batch is run again without it.

use crate::channel_instances::ChannelRef;
use domain::{ConversationId, PersonRef};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// How many people each of the two generations remembers (one batch may exceed it).
const GENERATION: usize = 20_000;

/// A person as a webhook names them on one channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PersonKey {
    pub channel: ChannelRef,
    pub phone: Option<String>,
    pub user_id: Option<String>,
}

impl PersonKey {
    pub(super) fn of(channel: ChannelRef, person: &PersonRef) -> Self {
        Self { channel, phone: person.phone.clone(), user_id: person.user_id.clone() }
    }
}

/// What is known of a person.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownPerson {
    pub conversation_id: ConversationId,
    pub name: Option<String>,
}

/// Two generations: what was used since the last turn survives it.
#[derive(Debug, Default)]
pub struct PeopleCache(Mutex<(HashMap<PersonKey, KnownPerson>, HashMap<PersonKey, KnownPerson>)>);

impl PeopleCache {
    fn generations(&self) -> MutexGuard<'_, (HashMap<PersonKey, KnownPerson>, HashMap<PersonKey, KnownPerson>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The conversation of a person who is known to show this name, or who shows none now.
    pub(super) fn conversation_of(&self, key: &PersonKey, name: Option<&str>) -> Option<ConversationId> {
        let mut both = self.generations();
        let known = if let Some(known) = both.0.get(key) {
            known
        } else {
            let known = both.1.remove(key)?;
            both.0.entry(key.clone()).or_insert(known)
        };
        (name.is_none() || known.name.as_deref() == name).then_some(known.conversation_id)
    }

    pub(super) fn remember(&self, people: Vec<(PersonKey, KnownPerson)>) {
        let mut both = self.generations();
        if both.0.len() + people.len() > GENERATION {
            both.1 = std::mem::take(&mut both.0);
        }
        both.0.extend(people);
    }

    pub(super) fn forget<'a>(&self, people: impl Iterator<Item = &'a PersonKey>) {
        let mut both = self.generations();
        for key in people {
            both.0.remove(key);
            both.1.remove(key);
        }
    }
}
