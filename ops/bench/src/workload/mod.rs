//! The workload: a sequence of WhatsApp webhooks that follows from a seed. Each webhook is a pure function of its index,
//! so long runs need no memory for it and an exact re-delivery is simply the earlier webhook made again.

mod body;
pub(crate) mod chance;
mod names;
mod request;
#[cfg(test)]
mod tests;
mod write;

use chance::{Chance, Purpose};
pub use names::{phone_number_id, profile_name, wa_id};
pub use request::{MadeOnDemand, MadeReady, Requests, Target};

/// Webhooks come in groups of ten: seven texts, two receipts, one re-delivery, in an order that chance decides.
const GROUP: usize = 10;
/// Half of the re-deliveries repeat one of the last webhooks, so that they race with it on another connection.
const CLOSE_BEHIND: usize = 64;
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// 70 % new texts, 20 % receipts, 10 % exact re-deliveries.
    Storm,
    /// Nothing but new texts.
    Texts,
}

#[derive(Clone, Debug)]
pub struct Workload {
    pub seed: u64,
    pub webhooks: usize,
    pub mix: Mix,
    pub customers: usize,
    /// Channels in use: `channels` of them, from `first_channel` on. A customer writes to one only.
    pub channels: usize,
    pub first_channel: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// Stage 0, 1, 2 is `sent`, `delivered`, `read`.
    Receipt {
        outbound: usize,
        stage: usize,
    },
    /// Byte for byte the webhook at `of`, which is a text.
    Redelivery {
        of: usize,
    },
}

/// A message of the business that must exist before the run; its receipts are part of the workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outbound {
    pub wamid: String,
    pub phone_number_id: String,
    pub wa_id: String,
    pub name: String,
    /// Which channel `phone_number_id` is.
    pub channel: usize,
    /// The furthest status that the workload reports for it.
    pub last_status: &'static str,
}

impl Workload {
    pub fn storm(seed: u64, webhooks: usize) -> Self {
        Self { seed, webhooks, mix: Mix::Storm, customers: 5_000, channels: 10, first_channel: 0 }
    }

    /// New texts to one channel.
    pub fn texts(seed: u64, webhooks: usize, channel: usize) -> Self {
        Self { seed, webhooks, mix: Mix::Texts, customers: 500, channels: 1, first_channel: channel }
    }

    pub fn phone_number_ids(&self) -> Vec<String> {
        (0..self.channels).map(|n| phone_number_id(self.first_channel + n)).collect()
    }

    pub fn kind(&self, index: usize) -> Kind {
        if self.mix == Mix::Texts {
            return Kind::Text;
        }
        let (group, place) = (index / GROUP, index % GROUP);
        let order = self.group_order(group);
        match order.get(place).copied().unwrap_or(0) {
            0..7 => Kind::Text,
            7..9 => {
                let earlier = order.iter().take(place).filter(|slot| (7..9).contains(*slot)).count();
                let receipt = group * 2 + earlier;
                Kind::Receipt { outbound: receipt / 3, stage: receipt % 3 }
            }
            _ => Kind::Redelivery { of: self.redelivered(index) },
        }
    }

    /// The provider's id of the new message in webhook `index`, which must be a text.
    pub fn inbound_id(&self, index: usize) -> String {
        self.sender(index).1
    }

    /// The ids of all inbound messages that must be stored, each once.
    pub fn inbound_ids(&self) -> impl Iterator<Item = String> {
        (0..self.webhooks).filter(|index| self.kind(*index) == Kind::Text).map(|index| self.inbound_id(index))
    }

    /// The messages to seed before the run.
    pub fn outbound(&self) -> Vec<Outbound> {
        let mut made: Vec<Outbound> = Vec::new();
        for index in 0..self.webhooks {
            if let Kind::Receipt { outbound, stage } = self.kind(index) {
                let last_status = stage_name(stage);
                match made.get_mut(outbound) {
                    Some(known) => known.last_status = last_status,
                    None => made.push(self.outbound_message(outbound, last_status)),
                }
            }
        }
        made
    }

    fn group_order(&self, group: usize) -> [usize; GROUP] {
        let mut order = std::array::from_fn(|slot| slot);
        // The first group keeps its order, so that webhook 0 is a text and every re-delivery has something to repeat.
        if group > 0 {
            Chance::new(self.seed, Purpose::Order, group).shuffle(&mut order);
        }
        order
    }

    fn redelivered(&self, index: usize) -> usize {
        let mut chance = Chance::new(self.seed, Purpose::Redelivery, index);
        let reach = if chance.bits() & 1 == 0 { index.min(CLOSE_BEHIND) } else { index };
        (0..64).map(|_| index - 1 - chance.below(reach)).find(|candidate| self.kind_is_text(*candidate)).unwrap_or(0)
    }

    /// `kind(index) == Text`, without following a re-delivery to its original.
    fn kind_is_text(&self, index: usize) -> bool {
        self.group_order(index / GROUP).get(index % GROUP).is_some_and(|slot| *slot < 7)
    }

    /// The customer who wrote text `index`, the message's id, and the chance that goes on to make its words.
    fn sender(&self, index: usize) -> (usize, String, Chance) {
        let mut chance = Chance::new(self.seed, Purpose::Text, index);
        let customer = chance.below(self.customers);
        let id = names::wamid(&wa_id(customer), false, &mut chance);
        (customer, id, chance)
    }

    fn outbound_message(&self, number: usize, last_status: &'static str) -> Outbound {
        let mut chance = Chance::new(self.seed, Purpose::Outbound, number);
        let customer = chance.below(self.customers);
        let (to, channel) = (wa_id(customer), self.channel_of(customer));
        Outbound {
            wamid: names::wamid(&to, true, &mut chance),
            phone_number_id: phone_number_id(channel),
            wa_id: to,
            name: profile_name(customer),
            channel,
            last_status,
        }
    }

    fn channel_of(&self, customer: usize) -> usize {
        self.first_channel + customer % self.channels.max(1)
    }
}

fn stage_name(stage: usize) -> &'static str {
    match stage {
        0 => "sent",
        1 => "delivered",
        _ => "read",
    }
}
