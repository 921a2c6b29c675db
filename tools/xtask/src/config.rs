// SPDX-License-Identifier: GPL-2.0

//! Kernel configurations: fragments put together, and the check that the kernel
//! really took them. Kconfig drops a symbol with an unmet dependency, or a name
//! that it does not know, without a word.

use std::collections::BTreeMap;

use anyhow::{bail, Result};

/// Symbol to value; `n` is "is not set".
pub type Config = BTreeMap<String, String>;

/// Reads `CONFIG_X=value` and `# CONFIG_X is not set` lines; other comments are
/// free text. Any other line is an error.
pub fn parse(text: &str) -> Result<Config> {
    let mut config = Config::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = unset(line) {
            config.insert(name.to_owned(), "n".to_owned());
        } else if line.is_empty() || line.starts_with('#') {
            continue;
        } else if let Some((name, value)) = line
            .split_once('=')
            .filter(|(name, _)| name.starts_with("CONFIG_"))
        {
            config.insert(name.to_owned(), value.to_owned());
        } else {
            bail!("not a line of a kernel configuration: `{line}`");
        }
    }
    Ok(config)
}

fn unset(line: &str) -> Option<&str> {
    line.strip_prefix("# ")?
        .strip_suffix(" is not set")
        .filter(|name| name.starts_with("CONFIG_"))
}

/// Puts fragments together; a later one overrides an earlier one.
pub fn merge<'a>(fragments: impl IntoIterator<Item = &'a str>) -> Result<Config> {
    let mut merged = Config::new();
    for text in fragments {
        merged.extend(parse(text)?);
    }
    Ok(merged)
}

/// The text for `KCONFIG_ALLCONFIG`.
pub fn render(config: &Config) -> String {
    let mut text = String::new();
    for (name, value) in config {
        if value == "n" {
            text.push_str(&format!("# {name} is not set\n"));
        } else {
            text.push_str(&format!("{name}={value}\n"));
        }
    }
    text
}

/// What `wanted` says and the kernel's `.config` does not.
pub fn lost(wanted: &Config, dotconfig: &Config) -> Vec<String> {
    let mut lost = Vec::new();
    for (name, value) in wanted {
        let got = dotconfig.get(name).map_or("n", String::as_str);
        if got != value {
            lost.push(format!("{name} is {got}, not {value}"));
        }
    }
    lost
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_fragments_override() {
        let merged = merge([
            "# words\nCONFIG_A=y\nCONFIG_B=y\n",
            "# CONFIG_A is not set\nCONFIG_C=\"x\"\n",
        ])
        .unwrap();
        assert_eq!(
            render(&merged),
            "# CONFIG_A is not set\nCONFIG_B=y\nCONFIG_C=\"x\"\n"
        );
        assert_eq!(parse(&render(&merged)).unwrap(), merged);
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(parse("CONFIG_A\n").is_err());
        assert!(parse("A=y\n").is_err());
    }

    #[test]
    fn what_the_kernel_dropped_is_found() {
        let wanted = merge([
            "CONFIG_A=y\nCONFIG_B=m\nCONFIG_D=y\n# CONFIG_C is not set\n# CONFIG_E is not set\n",
        ])
        .unwrap();
        let dotconfig =
            parse("CONFIG_A=y\nCONFIG_B=y\nCONFIG_C=y\n# CONFIG_D is not set\n").unwrap();
        assert_eq!(
            lost(&wanted, &dotconfig),
            [
                "CONFIG_B is y, not m",
                "CONFIG_C is y, not n",
                "CONFIG_D is n, not y"
            ]
        );
    }
}
