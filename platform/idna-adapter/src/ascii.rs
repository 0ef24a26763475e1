//! The adapter's interface for ASCII alone.
//!
//! Every other character maps to the replacement character, which `idna` refuses. So no property of
//! one is ever asked for but of what a label in Punycode decodes to, and of such labels the runtime's
//! parser has judged.

/// A set of joining types.
#[derive(Clone, Copy, Debug)]
pub struct JoiningTypeMask(());

impl JoiningTypeMask {
    /// Whether both have one in common.
    #[must_use]
    pub const fn intersects(self, _: Self) -> bool {
        true
    }
}

/// Left and dual joining.
pub const LEFT_OR_DUAL_JOINING_MASK: JoiningTypeMask = JoiningTypeMask(());
/// Right and dual joining.
pub const RIGHT_OR_DUAL_JOINING_MASK: JoiningTypeMask = JoiningTypeMask(());

/// How a character joins its neighbours.
#[derive(Clone, Copy, Debug)]
pub struct JoiningType(());

impl JoiningType {
    /// The set of it alone.
    #[must_use]
    pub const fn to_mask(self) -> JoiningTypeMask {
        JoiningTypeMask(())
    }

    /// Whether it does not join.
    #[must_use]
    pub const fn is_transparent(self) -> bool {
        false
    }
}

/// A set of directions.
#[derive(Clone, Copy, Debug)]
pub struct BidiClassMask(bool);

impl BidiClassMask {
    /// Whether both have one in common.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 && other.0
    }
}

/// From right to left: no character is.
pub const RTL_MASK: BidiClassMask = BidiClassMask(false);
/// May begin a label.
pub const FIRST_BC_MASK: BidiClassMask = BidiClassMask(true);
/// May end a label from left to right.
pub const LAST_LTR_MASK: BidiClassMask = BidiClassMask(true);
/// May end a label from right to left.
pub const LAST_RTL_MASK: BidiClassMask = BidiClassMask(true);
/// May stand inside a label from left to right.
pub const MIDDLE_LTR_MASK: BidiClassMask = BidiClassMask(true);
/// May stand inside a label from right to left.
pub const MIDDLE_RTL_MASK: BidiClassMask = BidiClassMask(true);

/// The direction of a character: always from left to right.
#[derive(Clone, Copy, Debug)]
pub struct BidiClass(());

impl BidiClass {
    /// The set of it alone.
    #[must_use]
    pub const fn to_mask(self) -> BidiClassMask {
        BidiClassMask(true)
    }

    /// Whether it is from left to right.
    #[must_use]
    pub const fn is_ltr(self) -> bool {
        true
    }

    /// Whether it is that of marks.
    #[must_use]
    pub const fn is_nonspacing_mark(self) -> bool {
        false
    }

    /// Whether it is that of European digits.
    #[must_use]
    pub const fn is_european_number(self) -> bool {
        false
    }

    /// Whether it is that of Arabic digits.
    #[must_use]
    pub const fn is_arabic_number(self) -> bool {
        false
    }
}

/// What `idna` asks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Adapter(());

impl Adapter {
    /// The one there is.
    #[must_use]
    pub const fn new() -> Self {
        Self(())
    }

    /// Whether it joins what stands around it.
    #[must_use]
    pub const fn is_virama(&self, _: char) -> bool {
        false
    }

    /// Whether it is a mark.
    #[must_use]
    pub const fn is_mark(&self, _: char) -> bool {
        false
    }

    /// Its direction.
    #[must_use]
    pub const fn bidi_class(&self, _: char) -> BidiClass {
        BidiClass(())
    }

    /// How it joins.
    #[must_use]
    pub const fn joining_type(&self, _: char) -> JoiningType {
        JoiningType(())
    }

    /// Characters as a host name has them: ASCII in lower case; another is none.
    pub fn map_normalize<'a, I: Iterator<Item = char> + 'a>(
        &'a self,
        characters: I,
    ) -> impl Iterator<Item = char> + 'a {
        characters.map(|c| {
            if c.is_ascii() {
                c.to_ascii_lowercase()
            } else {
                char::REPLACEMENT_CHARACTER
            }
        })
    }

    /// Characters of a label in Punycode, which the runtime's parser has judged.
    pub fn normalize_validate<'a, I: Iterator<Item = char> + 'a>(
        &'a self,
        characters: I,
    ) -> impl Iterator<Item = char> + 'a {
        characters
    }
}
