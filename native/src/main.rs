//! The core of kbuild: scans folders, packs and unpacks layers. It decides nothing; `src/native/protocol.ts` says what
//! it can be asked for.
mod attributes;
mod compress;
mod cores;
mod descriptor;
mod diff;
mod digest;
mod extract;
mod failure;
mod folders;
mod glob;
mod ignore;
mod ingest;
mod output;
mod pack;
mod pieces;
mod protocol;
mod recompress;
mod record;
mod root;
mod sandbox;
mod scan;
mod session;
mod source;
mod stat_cache;
mod table;
mod tar;
#[cfg(test)]
mod testing;
mod trees;
mod unpack;
mod zeros;

fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        // A step's own process, which the core starts of itself.
        ["step"] => sandbox::step(),
        ["sandbox", entry] => match sandbox::enter(entry) {
            Ok(()) => session::serve(),
            Err(failure) => session::refuse(failure),
        },
        _ => session::serve(),
    };
    match outcome {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("kbuild-native: {failure}");
            std::process::ExitCode::FAILURE
        }
    }
}
