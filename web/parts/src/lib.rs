//! What the modules of the browser app have in common.
//!
//! Each module that a browser fetches (`sam-web`, `sam-web-administration`) is linked with what it
//! uses of this crate; none of it is fetched by itself.
//!
//! | module | what lives there |
//! |---|---|
//! | [`api`], [`json`] | HTTP calls, and what is read as the wire types |
//! | [`browser`] | the few things asked of the browser itself |
//! | [`loaded`] | what is read over HTTP, as it is drawn |
//! | [`page`] | the pages of the administration module |
//! | [`surroundings`] | what every view has around it |
//! | [`dynamic`], [`icon`], [`part`] | what views are made of |
//! | [`words`], [`honest`] | how things are said; text that cannot lie about itself |

pub mod api;
pub mod browser;
pub mod dynamic;
pub mod honest;
pub mod icon;
pub mod json;
pub mod loaded;
pub mod page;
pub mod part;
pub mod surroundings;
pub mod words;
