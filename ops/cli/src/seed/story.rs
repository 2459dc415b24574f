//! Who is in the demo tenant, and what was said. Numbers are of the range that is reserved for fiction.

use domain::UserRole;

/// E-mail, username, name, role.
pub(super) const PEOPLE: &[(&str, Option<&str>, &str, UserRole)] = &[
    ("owner@demo.example", None, "Olivia Owner", UserRole::Owner),
    ("admin@demo.example", Some("demo.admin"), "Adam Admin", UserRole::Admin),
    ("agent@demo.example", Some("demo.agent"), "Grace Agent", UserRole::Agent),
];

/// What somebody said, and how many minutes ago. A person is an index of [`PEOPLE`].
pub(super) enum Line {
    Customer(i64, &'static str),
    Bot(i64, &'static str),
    Person(usize, i64, &'static str),
}

use Line::{Bot, Customer, Person};

/// A customer and their conversation.
pub(super) struct Somebody {
    pub(super) phone: &'static str,
    pub(super) name: &'static str,
    pub(super) email: Option<&'static str>,
    pub(super) tags: &'static [&'static str],
    pub(super) said: &'static [Line],
}

pub(super) const CUSTOMERS: &[Somebody] = &[
    Somebody {
        phone: "+15550100101",
        name: "Bianca Ruiz",
        email: Some("bianca@customer.example"),
        tags: &["vip", "wholesale"],
        said: &[
            Customer(4_330, "Hi, do you ship to Portugal?"),
            Bot(4_329, "We do. Delivery to Portugal takes three to five working days and costs 9.90."),
            Customer(4_320, "Great, and 40 pieces of the blue mug, is there a discount?"),
            Person(2, 4_290, "Hello Bianca, from 30 pieces it is 15 percent. Shall I send you an offer?"),
            Customer(4_285, "Yes please!"),
            Person(2, 1_450, "Sent. It is valid until the end of the month."),
        ],
    },
    Somebody {
        phone: "+15550100102",
        name: "Tom Becker",
        email: Some("tom@customer.example"),
        tags: &["customer"],
        said: &[
            Customer(190, "My order 20418 has not arrived, it was due on Monday"),
            Bot(189, "I am sorry to hear that. Let me look it up: the parcel is at the depot in your town since Monday."),
            Customer(180, "Since Monday? Then somebody should bring it"),
            Customer(95, "Hello?"),
        ],
    },
    Somebody {
        phone: "+15550100103",
        name: "Yuki Tanaka",
        email: None,
        tags: &["customer", "returns"],
        said: &[
            Customer(2_900, "The lamp arrived broken"),
            Person(1, 2_880, "I am sorry! Could you send a photo? A new one goes out today."),
            Customer(2_870, "Here it is, the glass is cracked"),
            Person(1, 2_860, "Thank you. The new lamp is on its way, keep the broken one."),
            Customer(1_200, "It is here, and it is fine. Thank you!"),
            Bot(1_199, "Glad to hear it. Enjoy the light!"),
        ],
    },
    Somebody {
        phone: "+15550100104",
        name: "Amara Okafor",
        email: Some("amara@customer.example"),
        tags: &["lead"],
        said: &[
            Customer(42, "Is the oak table available in 180 cm?"),
            Bot(41, "It is: 180 x 90 cm, in oak or walnut, in about four weeks."),
            Customer(12, "And can I see it somewhere?"),
        ],
    },
    Somebody {
        phone: "+15550100105",
        name: "Lars Nilsson",
        email: None,
        tags: &[],
        said: &[
            Customer(10_100, "Please send me the invoice of order 19877"),
            Bot(10_099, "It is on its way to your e-mail address."),
            Customer(10_090, "Got it"),
        ],
    },
    Somebody {
        phone: "+15550100106",
        name: "Priya Nair",
        email: Some("priya@customer.example"),
        tags: &["vip"],
        said: &[Customer(7, "Can I change the address of my order from this morning?")],
    },
];

/// A ticket; customers and people by index.
pub(super) struct Request {
    pub(super) customer: usize,
    pub(super) subject: &'static str,
    pub(super) description: &'static str,
    pub(super) priority: &'static str,
    pub(super) status: &'static str,
    pub(super) assigned_to: Option<usize>,
    pub(super) due_in_hours: Option<i64>,
}

pub(super) const TICKETS: &[Request] = &[
    Request {
        customer: 1,
        subject: "Parcel of order 20418 stuck at the depot",
        description: "Call the carrier and have it delivered tomorrow.",
        priority: "high",
        status: "open",
        assigned_to: Some(2),
        due_in_hours: Some(20),
    },
    Request {
        customer: 0,
        subject: "Offer for 40 blue mugs",
        description: "15 percent, valid until the end of the month.",
        priority: "medium",
        status: "in_progress",
        assigned_to: Some(2),
        due_in_hours: Some(72),
    },
    Request {
        customer: 2,
        subject: "Broken lamp replaced",
        description: "Glass cracked in transit; replacement sent.",
        priority: "medium",
        status: "closed",
        assigned_to: Some(1),
        due_in_hours: None,
    },
    Request {
        customer: 5,
        subject: "Change of address before dispatch",
        description: "The order of this morning.",
        priority: "low",
        status: "open",
        assigned_to: None,
        due_in_hours: None,
    },
];

/// Title, description, hours from now, length in minutes, ticket (by index).
pub(super) const APPOINTMENTS: &[(&str, &str, i64, i64, Option<usize>)] = &[
    ("Call the carrier", "About order 20418", 3, 15, Some(0)),
    ("Offer: follow up with Bianca", "Ask whether the quantity is final", 48, 30, Some(1)),
    ("Team meeting", "Open tickets of the week", 70, 45, None),
    ("Stocktaking", "Yesterday's", -26, 120, None),
];

/// Name, category, body.
pub(super) const TEMPLATES: &[(&str, &str, &str)] = &[
    ("order_shipped", "UTILITY", "Hello {{1}}, your order {{2}} is on its way."),
    ("welcome_message", "MARKETING", "Hello {{1}}, welcome to our service!"),
];
