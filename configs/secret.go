package configs

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// Mask is what is printed in place of a secret.
const Mask = "********"

// HiddenValue is what Connect's REST API answers in place of a password, as Kafka does.
const HiddenValue = "[hidden]"

// Secret is a text that does not print: neither with fmt in any verb, nor in JSON or other texts, nor in slog, nor
// from inside another struct. Only Reveal gives it. The zero Secret is empty.
type Secret struct {
	text *string // behind a pointer: fmt follows no pointers inside a struct it prints by reflection
}

// NewSecret returns the secret with that text.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{text: &text}
}

// Reveal returns the text. Do not log it.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsEmpty reports whether there is no text.
func (s Secret) IsEmpty() bool { return s.text == nil }

// String returns Mask, also if the secret is empty.
func (s Secret) String() string { return Mask }

// GoString returns Mask.
func (s Secret) GoString() string { return Mask }

// Format prints Mask, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, Mask) }

// MarshalText returns Mask; so JSON and other encodings get it too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(Mask), nil }

// LogValue returns Mask for slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(Mask) }

// minScrubbed is the length in bytes from which on a secret is looked for in free text: scrubbing "a" or "123" would
// mangle the text and hide nothing.
const minScrubbed = 4

// secretName recognises keys that nobody declared (or only as one of a family) and that hold a secret all the same:
// producer.override.sasl.jaas.config, database.ssl.keystore.password.
var secretName = regexp.MustCompile(`(?i)(password|passwd|passphrase|secret|token|credential|jaas|` +
	`(api|access|private)[._-]?key|keystore[._-]key|user[._-]?info)`)

// embedded recognises a password inside an address.
var embedded = regexp.MustCompile(`://[^/?#\s:@]*:([^/?#\s]+)@|` +
	`(?i:[?&;](?:password|sslpassword|token|secret)=)([^&;\s]+)`)

// Secrets returns every text in the configuration that must not be printed: the values of keys that are secret by
// their declaration or, if undeclared, by their name; passwords inside addresses; and all that came from a config
// provider, unless it is the whole value of a key that is declared as no secret: a host or a bucket taken from the
// environment must be readable where an error names it.
func (d *Definition) Secrets(r Resolved) []string {
	x := newIndex(d)
	var out []string
	for _, name := range sortedKeys(r.Config) {
		value := r.Config[name]
		k := x.find(name)
		if k == nil {
			k = x.alias[name]
		}
		declared := k != nil && !isFamily(k.Name)
		if k != nil && k.secret() || !declared && secretName.MatchString(name) {
			out = append(out, value, strings.TrimSpace(value))
		}
		for _, m := range embedded.FindAllStringSubmatch(value, -1) {
			out = append(out, m[1], m[2])
		}
	}
	for _, p := range r.parts {
		k := x.find(p.key)
		if p.whole && k != nil && !isFamily(k.Name) && !k.secret() {
			continue
		}
		out = append(out, p.value, strings.TrimSpace(p.value))
	}
	slices.Sort(out)
	out = slices.Compact(out)
	return slices.DeleteFunc(out, func(s string) bool { return s == "" })
}

// Redactor takes secrets out of texts before anyone sees them: log lines, traces in a status, answers (I8). It may be
// used from several goroutines. The zero Redactor knows no secret.
type Redactor struct {
	mu     sync.Mutex
	owners map[string]generations
	texts  atomic.Pointer[[]string] // every spelling of every secret, the longest first
}

// generations are an owner's secrets, and those before: what is ending still talks of them.
type generations struct{ now, before []string }

// Set replaces the secrets of an owner (a connector). Its previous ones are kept until the next change.
func (r *Redactor) Set(owner string, secrets []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.owners == nil {
		r.owners = map[string]generations{}
	}
	g := r.owners[owner]
	if slices.Equal(g.now, secrets) {
		return
	}
	r.owners[owner] = generations{now: slices.Clone(secrets), before: g.now}
	r.rebuild()
}

// Forget drops an owner's secrets. Call it when nothing of the owner runs any more.
func (r *Redactor) Forget(owner string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.owners, owner)
	r.rebuild()
}

// rebuild lists all spellings. r.mu is held.
func (r *Redactor) rebuild() {
	var texts []string
	for _, g := range r.owners {
		for _, s := range append(slices.Clone(g.now), g.before...) {
			texts = append(texts, spellings(s)...)
		}
	}
	slices.SortFunc(texts, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	texts = slices.Compact(texts)
	r.texts.Store(&texts)
}

// spellings returns how a secret may look in a text: as it is, as part of an address, of JSON, of a quoted text, and
// the lines of one that has several.
func spellings(secret string) []string {
	quoted := strconv.Quote(secret)
	encoded, _ := json.Marshal(secret)
	inAddress := strings.TrimPrefix(url.UserPassword("", secret).String(), ":")
	all := []string{secret, url.QueryEscape(secret), url.PathEscape(secret), inAddress,
		quoted[1 : len(quoted)-1], string(encoded[1 : len(encoded)-1])}
	if strings.ContainsAny(secret, "\r\n") {
		for line := range strings.Lines(secret) {
			if line = strings.TrimSpace(line); len(line) >= 16 { // shorter ones are no part of a key by themselves
				all = append(all, line)
			}
		}
	}
	return slices.DeleteFunc(all, func(s string) bool {
		return len(s) < minScrubbed || s == "true" || s == "false" || s == "null"
	})
}

// Redact returns the text with Mask in place of every secret of at least four bytes. Secrets that overlap are hidden
// by one Mask.
func (r *Redactor) Redact(text string) string {
	texts := r.texts.Load()
	if texts == nil || text == "" {
		return text
	}
	type span struct{ from, to int }
	var spans []span
	for _, secret := range *texts {
		for from := 0; ; from++ {
			i := strings.Index(text[from:], secret)
			if i < 0 {
				break
			}
			from += i
			spans = append(spans, span{from, from + len(secret)})
		}
	}
	if spans == nil {
		return text
	}
	slices.SortFunc(spans, func(a, b span) int { return a.from - b.from })
	var b strings.Builder
	done, masked := 0, -1 // masked: where the last Mask ends
	for _, s := range spans {
		if s.from >= masked {
			b.WriteString(text[done:s.from])
			b.WriteString(Mask)
		}
		masked = max(masked, s.to)
		done = masked
	}
	b.WriteString(text[done:])
	return b.String()
}
