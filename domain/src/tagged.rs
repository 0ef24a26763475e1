//! Enums on the wire whose variant is named by a field beside the others: `{"t": "ack", "command": …}`.
//!
//! serde's own `tag` first reads such a value into a tree, to find the field wherever it stands, and
//! then reads the tree with a second copy of every reader that the variants need. Here the field is
//! expected where everything of ours writes it, first; a value that has it elsewhere is put in that
//! order and read again. So one reader is enough, and nothing is read twice.
//!
//! An enum gets there by [`tagged!`](crate::tagged) after `#[serde(remote = "itself")]`, by which serde
//! writes the functions for an enum without a tag, under which this module lays the tag.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, IgnoredAny,
    IntoDeserializer, MapAccess, Unexpected, VariantAccess, Visitor,
};
use serde_json::{Map, Value};

mod write;

pub use write::Tagger;

/// An enum with a field that names its variant.
pub trait Tagged: DeserializeOwned {
    /// The field.
    const TAG: &'static str;

    /// Reads it as if it had none: from one entry of its name and its fields.
    ///
    /// # Errors
    /// Whatever the fields do not fit.
    fn untagged<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
}

/// Makes an enum [`Tagged`] by this field.
#[macro_export]
macro_rules! tagged {
    ($name:ident, $tag:literal) => {
        impl $crate::tagged::Tagged for $name {
            const TAG: &'static str = $tag;

            fn untagged<'de, D: ::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> Result<Self, D::Error> {
                $name::deserialize(deserializer)
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> Result<Self, D::Error> {
                $crate::tagged::read(deserializer)
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $name::serialize(self, $crate::tagged::Tagger::new($tag, serializer))
            }
        }
    };
}

/// Reads a tagged enum.
///
/// # Errors
/// When it is no object, has no tag, or does not fit its variant.
pub fn read<'de, T: Tagged, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_map(Reader(PhantomData))
}

struct Reader<T>(PhantomData<T>);

impl<'de, T: Tagged> Visitor<'de> for Reader<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with the field `{}`", T::TAG)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<T, A::Error> {
        match fields.next_key::<Cow<'de, str>>()? {
            Some(first) if first == T::TAG => {
                let variant = fields.next_value()?;
                T::untagged(Untagged { variant, fields })
            }
            Some(first) => {
                let mut object = Map::new();
                object.insert(first.into_owned(), fields.next_value()?);
                while let Some((name, value)) = fields.next_entry()? {
                    object.insert(name, value);
                }
                let text = tag_first(T::TAG, object).ok_or_else(|| missing(T::TAG))?;
                crate::json::from_str(&text).map_err(A::Error::custom)
            }
            None => Err(missing(T::TAG)),
        }
    }
}

fn missing<E: serde::de::Error>(tag: &'static str) -> E {
    E::missing_field(tag)
}

/// An object as text, with its tag in front.
fn tag_first(tag: &str, mut object: Map<String, Value>) -> Option<String> {
    let variant = object.remove(tag)?;
    let mut text = format!("{{{}:{variant}", Value::from(tag));
    for (name, value) in object {
        text.push_str(&format!(",{}:{value}", Value::from(name)));
    }
    text.push('}');
    Some(text)
}

/// A variant and what is left of the object, as an enum without a tag.
struct Untagged<A> {
    variant: String,
    fields: A,
}

impl<'de, A: MapAccess<'de>> Deserializer<'de> for Untagged<A> {
    type Error = A::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_enum(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, A: MapAccess<'de>> EnumAccess<'de> for Untagged<A> {
    type Error = A::Error;
    type Variant = Fields<A>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Fields<A>), A::Error> {
        let variant = seed.deserialize(self.variant.as_str().into_deserializer())?;
        Ok((variant, Fields(self.fields)))
    }
}

/// The fields of a variant; those that it does not know are passed over.
struct Fields<A>(A);

impl<'de, A: MapAccess<'de>> VariantAccess<'de> for Fields<A> {
    type Error = A::Error;

    fn unit_variant(mut self) -> Result<(), A::Error> {
        while self.0.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        seed.deserialize(MapAccessDeserializer::new(self.0))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        visitor.visit_map(self.0)
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        Err(A::Error::invalid_type(Unexpected::Map, &visitor))
    }
}

#[cfg(test)]
mod tests;
