package hub

import (
	"maps"
	"strings"
	"testing"
)

func TestJAAS(t *testing.T) {
	for _, c := range []struct {
		text    string
		class   string
		options map[string]string
	}{
		{plainLogin + ` required username="alice" password="alice-secret";`, plainLogin, map[string]string{"username": "alice", "password": "alice-secret"}},
		{scramLogin + " required\n  username=\"alice\"\n  password=\"a b\"\n  tokenauth=true;\n", scramLogin,
			map[string]string{"username": "alice", "password": "a b", "tokenauth": "true"}},
		{plainLogin + ` REQUIRED username='alice' password=secret-1_$2;`, plainLogin, map[string]string{"username": "alice", "password": "secret-1_$2"}},
		{plainLogin + ` optional username = "it's" password = 'a "word"' ;`, plainLogin, map[string]string{"username": "it's", "password": `a "word"`}},
		{plainLogin + ` sufficient username="" password="a\"b\\c\n\t\a\101\60\7x\q";`, plainLogin,
			map[string]string{"username": "", "password": "a\"b\\c\n\t\aA0\ax" + "q"}},
		{plainLogin + ` requisite password="first" password="last";`, plainLogin, map[string]string{"password": "last"}},
		{"/* whose */ " + plainLogin + " required // this one\n username=\"üser\" / and this\n password=\"пароль;=//\";// end", plainLogin,
			map[string]string{"username": "üser", "password": "пароль;=//"}},
		{"x required;", "x", map[string]string{}},
	} {
		got, err := parseJAAS(c.text)
		if err != nil || got.class != c.class || !maps.Equal(got.options, c.options) {
			t.Errorf("%q: got %+v, %v", c.text, got, err)
		}
	}
	for text, says := range map[string]string{
		"":                           "no login module",
		";":                          "no login module",
		"1x required;":               "no login module",
		plainLogin:                   "required",
		plainLogin + `;`:             "required",
		plainLogin + ` username="a"`: "required",
		plainLogin + ` required username="a" password="b"`:           "semicolon",
		plainLogin + ` required username="a", password="b";`:         "blanks",
		plainLogin + ` required username="a" password=;`:             "quotes",
		plainLogin + ` required username="a" password=1234;`:         "quotes",
		plainLogin + ` required username="a" password=-1;`:           "quotes",
		plainLogin + ` required username="a" password=hush/x;`:       "semicolon", // the rest is a comment
		plainLogin + ` required username="a" password=hush word;`:    "without a value",
		plainLogin + ` required username="a" password="hush;`:        "quotes",
		plainLogin + " required username=\"a\" password=\"hush\n\";": "quotes",
		plainLogin + ` required username="a" password="hush\`:        "quotes",
		plainLogin + ` required username="a" /* hush`:                "comment",
		plainLogin + ` required; ` + plainLogin + ` required;`:       "one login module",
	} {
		got, err := parseJAAS(text)
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: got %+v, %v, want %q", text, got, err, says)
		}
	}
}

// quoteJAAS writes a value as parseJAAS reads it.
func quoteJAAS(value string) string {
	r := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`)
	return `"` + r.Replace(value) + `"`
}

func FuzzJAAS(f *testing.F) {
	f.Add(plainLogin+` required username="alice" password="a\"\101";`, "pass")
	f.Add(scramLogin+" required // x\n username='a' /* y */ tokenauth=true;", `"\`)
	f.Add(`a required b=/`, "\n")
	f.Fuzz(func(t *testing.T, text, value string) {
		if m, err := parseJAAS(text); err == nil && m.class == "" && !strings.ContainsAny(text, `"'`) {
			t.Errorf("%q: no class and no error", text)
		}
		m, err := parseJAAS(plainLogin + " required username=" + quoteJAAS(value) + ";")
		if err != nil || m.options["username"] != value {
			t.Errorf("%q came back as %q, %v", value, m.options["username"], err)
		}
	})
}
