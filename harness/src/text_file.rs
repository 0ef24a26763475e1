//! A text file as a model sees it, and the bytes it came from.
//!
//! A model writes lines that end with a line feed, in Unicode. A file may end
//! its lines otherwise, begin with a byte-order mark, and be in another
//! encoding. [`TextFile`] shows the first and remembers the second, so that an
//! edit changes what it names and no other byte: a line that is not touched
//! keeps its own ending, and new lines take the ending of those they replace.
//!
//! Bytes that are neither UTF-8 nor marked as UTF-16 are read as Latin-1, byte
//! for byte; in truth they may be any encoding with one byte a letter or more,
//! and whatever is not touched stays as it was.

use std::ops::Range;

/// How a file's bytes mean text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8.
    Utf8,
    /// UTF-16, the low byte first.
    Utf16Le,
    /// UTF-16, the high byte first.
    Utf16Be,
    /// One byte a character.
    Latin1,
}

impl Encoding {
    /// Its name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Utf16Le | Self::Utf16Be => "UTF-16",
            Self::Latin1 => "Latin-1",
        }
    }
}

/// Why bytes are no text, or text no bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// The file holds zero bytes, or halves of characters.
    #[error("is a binary file")]
    Binary,
    /// The text has a character that the file's encoding lacks.
    #[error("is in {encoding}, which cannot express {character:?}; convert the file first", encoding = .encoding.name())]
    Inexpressible {
        /// The file's encoding.
        encoding: Encoding,
        /// The first such character.
        character: char,
    },
}

/// The text of a file, with what is needed to write it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextFile {
    /// With line feeds.
    text: String,
    /// Where in `text` line feeds lie that are carriage return and line feed
    /// in the file; ascending.
    returns: Vec<usize>,
    encoding: Encoding,
    /// Whether it begins with a byte-order mark.
    mark: bool,
}

const MARK: char = '\u{feff}';

impl TextFile {
    /// Reads a file's bytes.
    pub fn read(bytes: &[u8]) -> Result<Self, TextError> {
        let (encoding, decoded) = decode(bytes)?;
        let unmarked = decoded.strip_prefix(MARK);
        let mut file = Self {
            text: String::with_capacity(decoded.len()),
            returns: Vec::new(),
            encoding,
            mark: unmarked.is_some(),
        };
        file.push(unmarked.unwrap_or(&decoded));
        Ok(file)
    }

    /// Its lines, each ended by a line feed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its encoding, where that is not UTF-8, for people.
    #[must_use]
    pub fn other_encoding(&self) -> Option<&'static str> {
        (self.encoding != Encoding::Utf8).then(|| self.encoding.name())
    }

    /// What about it is not plain UTF-8 with line feeds, for people.
    #[must_use]
    pub fn form(&self) -> Option<String> {
        let encoding = self.other_encoding();
        let mark = (self.mark && self.encoding == Encoding::Utf8).then_some("byte-order mark");
        let endings = match (self.returns.len(), self.text.matches('\n').count()) {
            (0, _) => None,
            (returns, lines) if returns == lines => Some("CRLF lines"),
            _ => Some("some CRLF lines"),
        };
        let parts: Vec<&str> = [encoding, mark, endings].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    /// Replaces pieces of the text; ascending, none overlapping another, each
    /// on character boundaries. Others are passed over.
    pub fn splice(&mut self, pieces: &[(Range<usize>, String)]) {
        let mut new = Self {
            text: String::with_capacity(self.text.len()),
            returns: Vec::new(),
            ..*self
        };
        let mut at = 0;
        for (range, text) in pieces {
            if range.start < at || self.text.get(range.clone()).is_none() {
                continue;
            }
            new.copy(self, at..range.start);
            let text = text.replace("\r\n", "\n");
            if self.returns_in(range) {
                new.push(&text.replace('\n', "\r\n"));
            } else {
                new.text.push_str(&text);
            }
            at = range.end;
        }
        new.copy(self, at..self.text.len());
        *self = new;
    }

    /// Takes another text whole. A file that ended all its lines with carriage
    /// return and line feed still does.
    pub fn replace(&mut self, text: &str) {
        let lines = self.text.matches('\n').count();
        let crlf = lines > 0 && self.returns.len() == lines;
        let text = text.strip_prefix(MARK).unwrap_or(text);
        self.text.clear();
        self.returns.clear();
        if crlf {
            let text = text.replace("\r\n", "\n").replace('\n', "\r\n");
            self.push(&text);
        } else {
            self.push(text);
        }
    }

    /// The file's bytes.
    pub fn bytes(&self) -> Result<Vec<u8>, TextError> {
        let mut text = String::with_capacity(self.text.len() + self.returns.len() + 3);
        if self.mark {
            text.push(MARK);
        }
        let mut at = 0;
        for end in &self.returns {
            text.push_str(self.text.get(at..*end).unwrap_or_default());
            text.push('\r');
            at = *end;
        }
        text.push_str(self.text.get(at..).unwrap_or_default());
        encode(self.encoding, &text)
    }

    /// Adds text as it is in a file.
    fn push(&mut self, text: &str) {
        let mut rest = text;
        while let Some((line, more)) = rest.split_once("\r\n") {
            self.text.push_str(line);
            self.returns.push(self.text.len());
            self.text.push('\n');
            rest = more;
        }
        self.text.push_str(rest);
    }

    fn copy(&mut self, from: &Self, range: Range<usize>) {
        let moved = self.text.len();
        let returns = from.returns_within(&range).iter();
        self.returns
            .extend(returns.map(|at| at - range.start + moved));
        self.text.push_str(from.text.get(range).unwrap_or_default());
    }

    fn returns_within(&self, range: &Range<usize>) -> &[usize] {
        let first = self.returns.partition_point(|at| *at < range.start);
        let last = self.returns.partition_point(|at| *at < range.end);
        self.returns.get(first..last).unwrap_or_default()
    }

    /// Whether new lines here end with a carriage return, too: as most of
    /// those replaced, or else as most of the file.
    fn returns_in(&self, range: &Range<usize>) -> bool {
        let inside = self.text.get(range.clone()).unwrap_or_default();
        let most = |returns: usize, lines: usize| returns * 2 > lines;
        match inside.matches('\n').count() {
            0 => most(self.returns.len(), self.text.matches('\n').count()),
            lines => most(self.returns_within(range).len(), lines),
        }
    }
}

fn decode(bytes: &[u8]) -> Result<(Encoding, String), TextError> {
    let wide = |encoding, from: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let units = pairs.iter().copied().map(from);
        let text: Result<String, _> = char::decode_utf16(units).collect();
        match text {
            Ok(text) if rest.is_empty() && !text.contains('\0') => Ok((encoding, text)),
            _ => Err(TextError::Binary),
        }
    };
    match bytes {
        [0xff, 0xfe, ..] => return wide(Encoding::Utf16Le, u16::from_le_bytes),
        [0xfe, 0xff, ..] => return wide(Encoding::Utf16Be, u16::from_be_bytes),
        _ => {}
    }
    if bytes.contains(&0) {
        return Err(TextError::Binary);
    }
    Ok(match std::str::from_utf8(bytes) {
        Ok(text) => (Encoding::Utf8, text.to_owned()),
        Err(_) => (
            Encoding::Latin1,
            bytes.iter().copied().map(char::from).collect(),
        ),
    })
}

fn encode(encoding: Encoding, text: &str) -> Result<Vec<u8>, TextError> {
    Ok(match encoding {
        Encoding::Utf8 => text.as_bytes().to_vec(),
        Encoding::Utf16Le => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        Encoding::Utf16Be => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        Encoding::Latin1 => {
            let byte = |character: char| {
                u8::try_from(character).map_err(|_| TextError::Inexpressible {
                    encoding,
                    character,
                })
            };
            text.chars().map(byte).collect::<Result<_, _>>()?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn bytes_come_back_as_they_were() {
        let check = |bytes: &[u8], text: &str, form: Option<&str>| {
            let file = TextFile::read(bytes).unwrap();
            assert_eq!(file.text(), text, "{bytes:?}");
            assert_eq!(file.form().as_deref(), form, "{bytes:?}");
            assert_eq!(file.bytes().unwrap(), bytes, "{text:?}");
        };
        check(b"", "", None);
        check(b"a\nb", "a\nb", None);
        check(b"a\r\nb\r\n", "a\nb\n", Some("CRLF lines"));
        check(
            b"a\r\nb\nc\rd\r\r\n",
            "a\nb\nc\rd\r\n",
            Some("some CRLF lines"),
        );
        check(
            b"\xef\xbb\xbfa\r\n",
            "a\n",
            Some("byte-order mark, CRLF lines"),
        );
        check(b"\xe9t\xe9\n", "\u{e9}t\u{e9}\n", Some("Latin-1"));
        check(
            &utf16("\u{feff}a\r\n\u{1f600}", u16::to_le_bytes),
            "a\n\u{1f600}",
            Some("UTF-16, CRLF lines"),
        );
        check(
            &utf16("\u{feff}a\n", u16::to_be_bytes),
            "a\n",
            Some("UTF-16"),
        );
    }

    #[test]
    fn what_is_no_text_is_named() {
        for bytes in [
            &b"a\0b"[..],
            b"\xff\xfea",
            b"\xff\xfe\x00\xd8a\0",
            b"\xff\xfe\0\0",
        ] {
            assert_eq!(TextFile::read(bytes), Err(TextError::Binary), "{bytes:?}");
        }
        let mut file = TextFile::read(b"\xe9").unwrap();
        file.splice(&[(0..2, "\u{20ac}".to_owned())]);
        let error = file.bytes().unwrap_err().to_string();
        assert_eq!(
            error,
            "is in Latin-1, which cannot express '\u{20ac}'; convert the file first"
        );
    }

    #[test]
    fn a_splice_changes_what_it_names_and_no_other_byte() {
        let check = |bytes: &[u8], pieces: &[(Range<usize>, &str)], expected: &[u8]| {
            let mut file = TextFile::read(bytes).unwrap();
            let pieces: Vec<_> = pieces
                .iter()
                .map(|(range, text)| (range.clone(), (*text).to_owned()))
                .collect();
            file.splice(&pieces);
            let got = file.bytes().unwrap();
            assert_eq!(
                got.escape_ascii().to_string(),
                expected.escape_ascii().to_string()
            );
        };
        check(
            b"a\r\nb\r\nc\r\n",
            &[(2..3, "x\ny")],
            b"a\r\nx\r\ny\r\nc\r\n",
        );
        check(
            b"a\r\nb\r\nc\r\n",
            &[(2..4, "x\ny\n")],
            b"a\r\nx\r\ny\r\nc\r\n",
        );
        // A line keeps its own ending among others.
        check(
            b"a\nb\r\nc\nd\n",
            &[(0..1, "x"), (4..6, "y\nz\n")],
            b"x\nb\r\ny\nz\nd\n",
        );
        check(
            b"a\nb\r\nc\nd\n",
            &[(2..4, "y\nz\n")],
            b"a\ny\r\nz\r\nc\nd\n",
        );
        check(b"a\n", &[(0..1, "x\r\ny")], b"x\ny\n");
        check(b"a\r\nb", &[(1..2, "")], b"ab");
        check(b"\xef\xbb\xbfa", &[(0..1, "b")], b"\xef\xbb\xbfb");
        // What does not fit is passed over.
        check(b"abc", &[(1..2, "x"), (0..1, "y"), (2..9, "z")], b"axc");
    }

    #[test]
    fn a_file_written_whole_keeps_its_form() {
        let check = |bytes: &[u8], text: &str, expected: &[u8]| {
            let mut file = TextFile::read(bytes).unwrap();
            file.replace(text);
            assert_eq!(file.bytes().unwrap(), expected, "{text:?}");
        };
        check(b"a\r\nb\r\n", "x\ny\n", b"x\r\ny\r\n");
        check(b"a\r\nb\n", "x\ny\r\n", b"x\ny\r\n");
        check(b"\xef\xbb\xbfa", "x", b"\xef\xbb\xbfx");
        check(b"\xef\xbb\xbfa", "\u{feff}x", b"\xef\xbb\xbfx");
        check(b"", "x\r\n", b"x\r\n");
    }
}
