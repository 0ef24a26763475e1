//! Reading JSON text, with the code of each type compiled once and for objects alone.
//!
//! serde_json lets an array stand for a struct, its fields in order, so every derived reader is
//! compiled for both; nobody of ours writes that, and in a program that is downloaded it is a third of
//! what its types cost. [`from_str`] reads as `serde_json::from_str` does, with the same errors, but
//! takes no array for a struct. Programs that are downloaded read every type of theirs by it: one that
//! is read by serde_json elsewhere is compiled twice.

use std::fmt;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

/// Reads a text.
///
/// # Errors
/// When it is no JSON, or not of this type.
pub fn from_str<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = T::deserialize(Objects(&mut json))?;
    json.end()?;
    Ok(value)
}

/// A deserializer, or what it hands out, that takes no array for a struct.
struct Objects<T>(T);

/// Methods that hand the visitor on as it is: what it gets holds nothing else.
macro_rules! plain {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method(visitor)
        })*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Objects<D> {
    type Error = D::Error;

    plain! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_i128 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_u128 deserialize_f32 deserialize_f64 deserialize_char deserialize_str
        deserialize_string deserialize_bytes deserialize_byte_buf deserialize_unit
        deserialize_identifier deserialize_ignored_any
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_any(Objects(visitor))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_option(Objects(visitor))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_seq(Objects(visitor))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(Objects(visitor))
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_unit_struct(name, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_newtype_struct(name, Objects(visitor))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_tuple(length, Objects(visitor))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0
            .deserialize_tuple_struct(name, length, Objects(visitor))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(Fields(visitor))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_enum(name, variants, Objects(visitor))
    }
}

/// A struct's visitor: of objects alone.
struct Fields<V>(V);

impl<'de, V: Visitor<'de>> Visitor<'de> for Fields<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(Objects(fields))
    }
}

/// Methods of a visitor that get something that holds nothing else.
macro_rules! simple {
    ($($method:ident($kind:ty);)*) => {
        $(fn $method<E: Error>(self, value: $kind) -> Result<V::Value, E> {
            self.0.$method(value)
        })*
    };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Objects<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    simple! {
        visit_bool(bool);
        visit_i64(i64);
        visit_i128(i128);
        visit_u64(u64);
        visit_u128(u128);
        visit_f64(f64);
        visit_str(&str);
        visit_borrowed_str(&'de str);
        visit_string(String);
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<V::Value, D::Error> {
        self.0.visit_some(Objects(value))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, value: D) -> Result<V::Value, D::Error> {
        self.0.visit_newtype_struct(Objects(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, values: A) -> Result<V::Value, A::Error> {
        self.0.visit_seq(Objects(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(Objects(entries))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, variant: A) -> Result<V::Value, A::Error> {
        self.0.visit_enum(Objects(variant))
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Objects<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Objects(deserializer))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Objects<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.0.next_element_seed(Objects(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Objects<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.0.next_key_seed(Objects(seed))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(Objects(seed))
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for Objects<A> {
    type Error = A::Error;
    type Variant = Objects<A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self::Variant), A::Error> {
        let (name, variant) = self.0.variant_seed(Objects(seed))?;
        Ok((name, Objects(variant)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Objects<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.0.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.0.newtype_variant_seed(Objects(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.0.tuple_variant(length, Objects(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.0.struct_variant(fields, Fields(visitor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::row::RowUpsert;
    use crate::link::frame::AgentFrame;
    use serde::Deserialize;
    use serde_json::Value;
    use std::collections::BTreeMap;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Unit,
        Newtype(Inner),
        Named { inner: Option<Inner> },
        Pair(u8, Inner),
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Inner {
        n: i64,
        #[serde(default)]
        any: Value,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Outer {
        kinds: Vec<Kind>,
        map: BTreeMap<String, Inner>,
        tuple: (String, f64),
        #[serde(default)]
        text: Option<String>,
    }

    const WHOLE: &str = r#"{"new":[{}],"kinds":["unit",{"newtype":{"n":-1}},{"named":{"inner":null}},
        {"named":{"inner":{"n":2,"any":[1,{"a":"b"},null,1.5]}}},{"pair":[3,{"n":4}]}],
        "map":{"a\u0062":{"n":5}},"tuple":["x",1e3],"text":"\n"}"#;

    #[test]
    fn the_same_as_by_serde_json() {
        assert_eq!(
            from_str::<Outer>(WHOLE).unwrap(),
            serde_json::from_str(WHOLE).unwrap()
        );
        for frame in [
            r#"{"t":"ping"}"#,
            r#"{"t":"event","n":1,"attempt":0,"at":5,"event":{"phase":"cloning","event":"workspace_phase"}}"#,
        ] {
            let read: AgentFrame = from_str(frame).unwrap();
            assert_eq!(read, serde_json::from_str(frame).unwrap());
        }
        let row = r#"{"n":1,"id":"row_01arz3ndektsv4rrffq69g5fav","rev":1,"body":{"text":"a"},
            "author":"agent","created_at":3,"kind":"text"}"#;
        let read: RowUpsert = from_str(row).unwrap();
        assert_eq!(read, serde_json::from_str(row).unwrap());
    }

    #[test]
    fn the_same_errors_as_by_serde_json() {
        for text in [
            "",
            "{",
            "{} x",
            r#"{"kinds":[]}"#,
            r#"{"kinds":[{"n":1}]}"#,
            r#"{"kinds":[{"newtype":{}}]}"#,
            r#"{"kinds":[{"newtype":{"n":"x"}}]}"#,
            r#"{"kinds":[{"pair":[1]}]}"#,
            r#"{"kinds":1}"#,
            r#"{"map":{"a":1}}"#,
            r#"{"text":1}"#,
            r#"{"text":null,"text":null}"#,
            "3",
        ] {
            let told = from_str::<Outer>(text).unwrap_err().to_string();
            let expected = serde_json::from_str::<Outer>(text).unwrap_err().to_string();
            assert_eq!(told, expected, "{text}");
        }
    }

    #[test]
    fn an_array_is_no_struct() {
        let error = from_str::<Inner>("[1,2]").unwrap_err().to_string();
        assert!(
            error.starts_with("invalid type: sequence, expected struct Inner"),
            "{error}"
        );
        assert!(from_str::<Kind>(r#"{"named":[null]}"#).is_err());
    }
}
