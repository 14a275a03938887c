//! Closed sets of words as enums: a word that is forgotten somewhere does not compile.

/// Defines enums whose variants are written as words: in JSON, in `as_str` and in `Display`.
macro_rules! word_enums {
    ($($(#[$on_enum:meta])* $name:ident { $($(#[$on_variant:meta])* $variant:ident = $word:literal,)+ })+) => {$(
        $(#[$on_enum])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
        )]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$on_variant])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// All values, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// All values, each behind its word.
            pub const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$variant),)+];

            /// Returns the word that stands for this value in files and in JSON.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(self.as_str())
            }
        }
    )+};
}
