//! From the environment and the arguments to a value, or to an exit that says what is wrong.

use std::ffi::OsString;

use clap::{
    Parser,
    error::{ContextKind, ContextValue, ErrorKind},
};

/// The exit code of a process that was configured badly (`EX_USAGE` of sysexits).
pub const BAD_CONFIGURATION: i32 = 64;

/// Why there is no configuration: it is wrong, or only help was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// What to print. Never holds the value of a setting, which might be a secret put in the wrong place.
    pub message: String,
    /// What to exit with.
    pub code: i32,
}

/// The configuration of this process. Prints what is wrong and exits when there is none to be had.
pub fn parse<T: Parser>() -> T {
    match try_parse_from(std::env::args_os()) {
        Ok(configuration) => configuration,
        Err(stop) => {
            if stop.code == 0 {
                print!("{}", stop.message);
            } else {
                eprint!("{}", stop.message);
            }
            std::process::exit(stop.code);
        }
    }
}

/// As [`parse`], without printing or exiting: for what a running process is told to read again. Secrets in files may
/// have changed by then; the variables and arguments of a process have not.
pub fn parse_again<T: Parser>() -> Result<T, Stop> {
    try_parse_from(std::env::args_os())
}

/// As [`parse`], with the arguments given (the first is the program) and without printing or exiting.
pub fn try_parse_from<T: Parser>(
    arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> Result<T, Stop> {
    T::try_parse_from(arguments).map_err(|error| stop(&error))
}

fn stop(error: &clap::Error) -> Stop {
    if error.exit_code() == 0 {
        return Stop { message: error.render().to_string(), code: 0 };
    }
    let message = match error.kind() {
        // Clap's own text quotes the value.
        ErrorKind::ValueValidation | ErrorKind::InvalidValue | ErrorKind::InvalidUtf8 => {
            let argument = match error.get(ContextKind::InvalidArg) {
                Some(ContextValue::String(argument)) => Some(argument.as_str()),
                _ => None,
            };
            let source = std::error::Error::source(error).map(ToString::to_string);
            match (argument, source) {
                (Some(argument), Some(source)) => format!("error: {argument}: {source}\n"),
                (Some(argument), None) => format!("error: {argument}: not an acceptable value\n"),
                // Raised by a group of ours, which words it without the value.
                (None, _) => error.render().to_string(),
            }
        }
        // An unknown flag is quoted with whatever stood behind its `=`.
        ErrorKind::UnknownArgument => {
            "error: an argument is not known; --help lists those that are\n".to_owned()
        }
        _ => error.render().to_string(),
    };
    Stop { message, code: BAD_CONFIGURATION }
}

/// An error that one of our groups raises after clap has read the arguments.
pub(crate) fn refuse(message: String) -> clap::Error {
    clap::Error::raw(ErrorKind::ValueValidation, format!("{message}\n"))
}
