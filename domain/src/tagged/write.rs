//! Writing: the tag goes in front of the variant's own fields.

use serde::ser::{Impossible, Serialize, SerializeStruct, SerializeStructVariant, Serializer};

/// Takes what serde writes of an enum without a tag and writes it with one.
pub struct Tagger<S> {
    tag: &'static str,
    /// The variant, while its one struct is written.
    variant: Option<&'static str>,
    to: S,
}

impl<S: Serializer> Tagger<S> {
    /// Writes to `to`, naming the variant by `tag`.
    pub const fn new(tag: &'static str, to: S) -> Self {
        Self {
            tag,
            variant: None,
            to,
        }
    }

    fn begin(
        self,
        name: &'static str,
        variant: &'static str,
        length: usize,
    ) -> Result<Fields<S::SerializeStruct>, S::Error> {
        let mut fields = self.to.serialize_struct(name, length + 1)?;
        fields.serialize_field(self.tag, variant)?;
        Ok(Fields(fields))
    }
}

/// The fields after the tag.
pub struct Fields<S>(S);

/// Both kinds of struct that serde knows are written as the same one.
macro_rules! as_a_struct {
    ($($kind:ident)*) => {$(
        impl<S: SerializeStruct> $kind for Fields<S> {
            type Ok = S::Ok;
            type Error = S::Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), S::Error> {
                self.0.serialize_field(name, value)
            }

            fn end(self) -> Result<S::Ok, S::Error> {
                self.0.end()
            }
        }
    )*};
}
as_a_struct!(SerializeStruct SerializeStructVariant);

/// What is neither an enum nor the struct of its variant.
fn no_struct<T, E: serde::ser::Error>() -> Result<T, E> {
    Err(E::custom("a tagged variant has named fields"))
}

macro_rules! no_structs {
    ($($method:ident($($kind:ty),*) -> $done:ty;)*) => {
        $(fn $method(self $(, _: $kind)*) -> Result<$done, S::Error> {
            no_struct()
        })*
    };
}

impl<S: Serializer> Serializer for Tagger<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Impossible<S::Ok, S::Error>;
    type SerializeTuple = Impossible<S::Ok, S::Error>;
    type SerializeTupleStruct = Impossible<S::Ok, S::Error>;
    type SerializeTupleVariant = Impossible<S::Ok, S::Error>;
    type SerializeMap = Impossible<S::Ok, S::Error>;
    type SerializeStruct = Fields<S::SerializeStruct>;
    type SerializeStructVariant = Fields<S::SerializeStruct>;

    fn serialize_unit_variant(
        self,
        name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        SerializeStruct::end(self.begin(name, variant, 0)?)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        value.serialize(Tagger {
            variant: Some(variant),
            ..self
        })
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        self.begin(name, variant, length)
    }

    fn serialize_struct(
        self,
        name: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStruct, S::Error> {
        match self.variant {
            Some(variant) => self.begin(name, variant, length),
            None => no_struct(),
        }
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _value: &T) -> Result<S::Ok, S::Error> {
        no_struct()
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _value: &T,
    ) -> Result<S::Ok, S::Error> {
        no_struct()
    }

    no_structs! {
        serialize_bool(bool) -> S::Ok;
        serialize_i8(i8) -> S::Ok;
        serialize_i16(i16) -> S::Ok;
        serialize_i32(i32) -> S::Ok;
        serialize_i64(i64) -> S::Ok;
        serialize_u8(u8) -> S::Ok;
        serialize_u16(u16) -> S::Ok;
        serialize_u32(u32) -> S::Ok;
        serialize_u64(u64) -> S::Ok;
        serialize_f32(f32) -> S::Ok;
        serialize_f64(f64) -> S::Ok;
        serialize_char(char) -> S::Ok;
        serialize_str(&str) -> S::Ok;
        serialize_bytes(&[u8]) -> S::Ok;
        serialize_none() -> S::Ok;
        serialize_unit() -> S::Ok;
        serialize_unit_struct(&'static str) -> S::Ok;
        serialize_seq(Option<usize>) -> Self::SerializeSeq;
        serialize_tuple(usize) -> Self::SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
        serialize_map(Option<usize>) -> Self::SerializeMap;
    }
}
