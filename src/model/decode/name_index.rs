//! Finds names among many. Half a million references to a hundred thousand services are looked up, and
//! a binary search would compare seventeen names each time, most of them far apart in memory.

/// The indices of sorted names, by a hash of the name.
#[derive(Debug, Default)]
pub(super) struct NameIndex {
    /// Indices in the order of the hash, or [`EMPTY`]; a power of two of them.
    slots: Vec<u32>,
}

const EMPTY: u32 = u32::MAX;
/// How many neighbouring slots are tried. Names can be chosen so that all hashes are equal; then the
/// rest of them is found by binary search, which no choice of names makes slow.
const PROBES: usize = 32;

impl NameIndex {
    /// Indexes so many names.
    pub(super) fn new<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> Self {
        // Half of the slots stay empty, so that searches are short.
        let count = (2 * names.len()).next_power_of_two();
        let mut index = Self { slots: vec![EMPTY; count] };
        for (number, name) in (0..).zip(names) {
            let mut probes = index.probes(name);
            // A name that finds no free slot is looked up by bisection instead.
            if let Some(free) = probes.find(|slot| index.slots[*slot] == EMPTY) {
                index.slots[free] = number;
            }
        }
        index
    }

    /// Returns the index of a name among the same names, which are sorted.
    pub(super) fn find_name<'a>(
        &self,
        name: &str,
        count: usize,
        name_at: impl Fn(usize) -> &'a str,
    ) -> Option<u32> {
        for slot in self.probes(name) {
            match self.slots[slot] {
                // An empty slot ends the search, since names are never removed.
                EMPTY => return None,
                number if name_at(number as usize) == name => return Some(number),
                _ => {}
            }
        }
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low.midpoint(high);
            match name_at(middle).cmp(name) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(middle as u32),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    fn probes(&self, name: &str) -> impl Iterator<Item = usize> + use<> {
        // A power of two lets a mask take the place of a division.
        let mask = self.slots.len().wrapping_sub(1);
        let start = folded_fnv1a(name) as usize;
        let count = PROBES.min(self.slots.len());
        (0..count).map(move |probe| start.wrapping_add(probe) & mask)
    }
}

/// FNV-1a (Fowler, Noll and Vo, 1991), with its upper bits folded into the lower ones.
fn folded_fnv1a(name: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
    let hash = name.bytes().fold(0xCBF2_9CE4_8422_2325, step);
    // The mask keeps the lower bits only, in which FNV mixes least.
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_and_no_other() {
        for count in [0, 1, 2, 100, 5000] {
            let mut names: Vec<String> = (0..count).map(|item| format!("service {item}")).collect();
            names.sort();
            let index = NameIndex::new(names.iter().map(String::as_str));
            let find = |name: &str| index.find_name(name, names.len(), |at| &names[at]);
            for (number, name) in (0..).zip(&names) {
                assert_eq!(find(name), Some(number));
            }
            assert_eq!(find("service"), None);
            assert_eq!(find("tervice 0"), None);
        }
    }

    #[test]
    fn names_whose_slots_are_all_taken_are_found_all_the_same() {
        let names: Vec<String> = (1000..2000).map(|item| item.to_string()).collect();
        let index = NameIndex { slots: vec![0; 64] };
        let find = |name: &str| index.find_name(name, names.len(), |at| &names[at]);
        assert_eq!(find("1999"), Some(999));
        assert_eq!(find("2000"), None);
    }
}
