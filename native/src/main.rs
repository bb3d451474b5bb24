//! The core of kbuild: scans folders, packs and unpacks layers. It decides nothing; `src/native/protocol.ts` says what
//! it can be asked for.
mod compress;
mod descriptor;
mod digest;
mod extract;
mod failure;
mod glob;
mod ignore;
mod ingest;
mod output;
mod pack;
mod pieces;
mod protocol;
mod recompress;
mod root;
mod scan;
mod session;
mod source;
mod stat_cache;
mod table;
mod tar;
#[cfg(test)]
mod testing;

fn main() -> std::process::ExitCode {
    match session::serve() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("kbuild-native: {failure}");
            std::process::ExitCode::FAILURE
        }
    }
}
