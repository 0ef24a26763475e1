//! Where in a JSON document one is, byte by byte, without reading it.

/// Counts braces and brackets outside of strings.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Depth {
    open: u32,
    in_string: bool,
    escaped: bool,
    begun: bool,
}

impl Depth {
    /// Takes the next byte.
    pub(crate) fn byte(&mut self, byte: u8) {
        if self.in_string {
            if std::mem::take(&mut self.escaped) {
                return;
            }
            match byte {
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.open = self.open.saturating_add(1),
            b'}' | b']' => self.open = self.open.saturating_sub(1),
            _ => {}
        }
        self.begun |= !byte.is_ascii_whitespace();
    }

    /// Takes the next piece of text.
    pub(crate) fn text(&mut self, text: &str) {
        text.bytes().for_each(|byte| self.byte(byte));
    }

    /// How many objects and lists are open.
    pub(crate) fn open(&self) -> u32 {
        self.open
    }

    /// Whether the next byte is within a string.
    pub(crate) fn in_string(&self) -> bool {
        self.in_string
    }

    /// Whether something began and nothing is open.
    pub(crate) fn is_whole(&self) -> bool {
        self.begun && self.open == 0 && !self.in_string
    }
}
