# Formula for Homebrew. `packaging/update VERSION BASE-URL SHA256SUMS` fills in a release.
class Blastwave < Formula
  desc "Deployment blast-radius simulator"
  version "0.1.0"
  license any_of: ["MIT", "Apache-2.0"]

  on_macos do
    on_arm do
      url "@URL@/blastwave-0.1.0-aarch64-apple-darwin.tar.gz"
      sha256 "@aarch64-apple-darwin@"
    end
    on_intel do
      url "@URL@/blastwave-0.1.0-x86_64-apple-darwin.tar.gz"
      sha256 "@x86_64-apple-darwin@"
    end
  end
  on_linux do
    on_arm do
      url "@URL@/blastwave-0.1.0-aarch64-unknown-linux-gnu.tar.gz"
      sha256 "@aarch64-unknown-linux-gnu@"
    end
    on_intel do
      url "@URL@/blastwave-0.1.0-x86_64-unknown-linux-gnu.tar.gz"
      sha256 "@x86_64-unknown-linux-gnu@"
    end
  end

  def install
    bin.install "blastwave"
    man1.install Dir["man/*.1"]
    bash_completion.install "completions/blastwave.bash" => "blastwave"
    zsh_completion.install "completions/blastwave.zsh" => "_blastwave"
    fish_completion.install "completions/blastwave.fish"
  end

  test do
    (testpath/"t.yaml").write("version: 1\ntopology: t\nservices: { a: {} }\nflows: { f: { steps: [a] } }\n")
    assert_match "fails", shell_output("#{bin}/blastwave simulate t.yaml --break a --trials 64")
  end
end
