//! Query strings.

use crate::ApiError;
use salvo::{
    Depot, Extractible, Request, Writer,
    extract::Metadata,
    oapi::{Components, EndpointArgRegister, Operation, ToParameters},
};
use serde::de::{DeserializeOwned, IntoDeserializer, value::MapDeserializer};
use std::{collections::BTreeMap, fmt::Debug};

/// The query, in a struct of optional fields. A parameter that is empty counts as absent, of one given twice the last counts.
#[derive(Debug)]
pub(crate) struct Query<T>(pub T);

impl<'ex, T: DeserializeOwned + Send> Extractible<'ex> for Query<T> {
    fn metadata() -> &'static Metadata {
        static METADATA: Metadata = Metadata::new("");
        &METADATA
    }

    async fn extract(req: &'ex mut Request, _depot: &'ex mut Depot) -> Result<Self, impl Writer + Send + Debug + 'static> {
        let pairs: BTreeMap<&str, &str> =
            req.queries().iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name.as_str(), value.as_str())).collect();
        parse(pairs).map(Self)
    }
}

fn parse<T: DeserializeOwned>(pairs: BTreeMap<&str, &str>) -> Result<T, ApiError> {
    if pairs.values().any(|value| value.contains('\0')) {
        return Err(ApiError::invalid_field("", "Text must not contain the character U+0000"));
    }
    let pairs = pairs.into_iter().map(|(name, value)| (name, Loose(value)));
    serde_path_to_error::deserialize(MapDeserializer::<_, serde::de::value::Error>::new(pairs)).map_err(|error| {
        let field = error.path().to_string();
        ApiError::invalid_field(if field == "." { String::new() } else { field }, error.into_inner().to_string())
    })
}

/// A text that becomes whatever the field is.
struct Loose<'a>(&'a str);

impl<'de> IntoDeserializer<'de> for Loose<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! parsed {
    ($($method:ident $visit:ident $what:literal),+ $(,)?) => {$(
        fn $method<V: serde::de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
            match self.0.parse() {
                Ok(value) => visitor.$visit(value),
                Err(_) => Err(serde::de::Error::custom(concat!("must be ", $what))),
            }
        }
    )+};
}

impl<'de> serde::Deserializer<'de> for Loose<'de> {
    type Error = serde::de::value::Error;

    parsed! {
        deserialize_bool visit_bool "true or false",
        deserialize_i32 visit_i32 "a whole number",
        deserialize_i64 visit_i64 "a whole number",
        deserialize_u32 visit_u32 "a whole number that is not negative",
    }

    fn deserialize_any<V: serde::de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_option<V: serde::de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: serde::de::Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: serde::de::Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_enum(self.0.into_deserializer())
    }

    serde::forward_to_deserialize_any! {
        i8 i16 u8 u16 u64 i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}

impl<'de, T: serde::Deserialize<'de> + ToParameters<'de>> EndpointArgRegister for Query<T> {
    fn register(components: &mut Components, operation: &mut Operation, _arg: &str) {
        for parameter in T::to_parameters(components) {
            operation.parameters.insert(parameter);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Wanted {
        page: Option<i64>,
        on: Option<bool>,
        word: Option<Word>,
        text: Option<String>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "UPPERCASE")]
    enum Word {
        Open,
    }

    fn query(pairs: &[(&'static str, &'static str)]) -> Result<Wanted, String> {
        parse(pairs.iter().copied().collect()).map_err(|error| error.message.into_owned())
    }

    #[test]
    fn values_become_what_the_field_is_and_errors_name_it() {
        let wanted = Wanted { page: Some(7), on: Some(true), word: Some(Word::Open), text: Some("12".to_owned()) };
        assert_eq!(query(&[("page", "7"), ("on", "true"), ("word", "OPEN"), ("text", "12"), ("other", "x")]).unwrap(), wanted);
        assert_eq!(query(&[("page", "abc")]).unwrap_err(), "page: must be a whole number");
        assert_eq!(query(&[("on", "1")]).unwrap_err(), "on: must be true or false");
        assert!(query(&[("word", "open")]).unwrap_err().starts_with("word: unknown variant `open`, expected `OPEN`"));
        assert_eq!(query(&[("text", "\0")]).unwrap_err(), "Text must not contain the character U+0000");
    }
}
