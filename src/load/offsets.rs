//! From characters, in which `saphyr-parser` counts, to bytes, in which a place counts.

/// Characters between two known offsets: more would be slower, fewer would take more memory.
const STEP: usize = 32;

/// The byte offset of every character of a text.
#[derive(Debug)]
pub(super) struct Offsets<'a> {
    text: &'a str,
    /// The byte offset of every `STEP`th character; empty for ASCII, where they are equal.
    known: Vec<u32>,
}

impl<'a> Offsets<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let known = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices().step_by(STEP).map(|(byte, _)| byte as u32).collect()
        };
        Self { text, known }
    }

    /// The byte offset of the character with this number; the length of the text beyond its end.
    pub(super) fn byte_offset(&self, character: usize) -> usize {
        if self.known.is_empty() {
            return character.min(self.text.len());
        }
        let Some(start) = self.known.get(character / STEP) else { return self.text.len() };
        let start = *start as usize;
        self.text[start..]
            .char_indices()
            .nth(character % STEP)
            .map_or(self.text.len(), |(byte, _)| start + byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_is_found() {
        for text in ["", "plain", &"Läden ☃ ".repeat(20)] {
            let offsets = Offsets::new(text);
            for (index, (byte, _)) in text.char_indices().enumerate() {
                assert_eq!(offsets.byte_offset(index), byte);
            }
            assert_eq!(offsets.byte_offset(text.chars().count()), text.len());
            assert_eq!(offsets.byte_offset(usize::MAX), text.len());
        }
    }
}
