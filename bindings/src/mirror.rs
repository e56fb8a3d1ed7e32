//! Enums of the inner crates, as the foreign languages see them.

/// Makes an enum of the same variants, and the conversion from the inner one. Adding a variant inside
/// and not here does not compile.
macro_rules! mirror {
    ($inner:path => $(#[$outer_doc:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident,)* }) => {
        $(#[$outer_doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
        pub enum $name {
            $($(#[$doc])* $variant,)*
        }

        impl From<$inner> for $name {
            fn from(inner: $inner) -> Self {
                use $inner as Inner;
                match inner {
                    $(Inner::$variant => Self::$variant,)*
                }
            }
        }
    };
}

pub(crate) use mirror;
