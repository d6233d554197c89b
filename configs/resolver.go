package configs

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
)

// placeholder is Kafka's ConfigTransformer pattern ${provider:[path:]key}, and besides a bare ${NAME}. Bare names are
// in upper case: ${topic}, ${database} and the like have meanings of their own in many values.
var placeholder = regexp.MustCompile(`\$\{([^}]*?):(?:([^}]*?):)?([^}]*?)\}|\$\{([A-Z_][A-Z0-9_]*)\}`)

// Resolver replaces the placeholders in the values of configurations. It may be used from several goroutines.
type Resolver struct {
	classes map[string]string            // provider name → class
	params  map[string]map[string]string // provider name → parameters
	env     func(string) (string, bool)
}

// Resolved is a configuration with its placeholders replaced.
type Resolved struct {
	// Config is complete and holds secrets.
	Config map[string]string
	// Tainted are the keys whose value came, in part or whole, from a provider, with the text as it was written.
	// That text, not the value, is what may be stored and shown.
	Tainted map[string]string
	parts   []part
}

// part is one value that a placeholder stood for.
type part struct {
	key, value string
	whole      bool // it is the whole value of the key
}

// NewResolver returns a resolver with the providers that the worker's configuration declares in config.providers and
// config.providers.NAME.…, as in Kafka Connect; without that key, with the providers file, dir and env, unrestricted.
// A nil env is the process's environment.
func NewResolver(worker map[string]string, env func(string) (string, bool)) (*Resolver, []Problem) {
	if env == nil {
		env = os.LookupEnv
	}
	r := &Resolver{classes: map[string]string{}, params: map[string]map[string]string{}, env: env}
	names, declared := worker["config.providers"]
	if !declared || strings.TrimSpace(names) == "" {
		r.classes["file"] = "FileConfigProvider"
		r.classes["dir"] = "DirectoryConfigProvider"
		r.classes["env"] = "EnvVarConfigProvider"
		return r, nil
	}
	var problems []Problem
	for name := range strings.SplitSeq(names, ",") {
		name = strings.TrimSpace(name)
		prefix := "config.providers." + name + "."
		class := strings.TrimSpace(worker[prefix+"class"])
		params := map[string]string{}
		for key, value := range worker {
			if param, ok := strings.CutPrefix(key, prefix+"param."); ok {
				params[param] = value
			}
		}
		if class == "" {
			problems = append(problems, KeyError(prefix+"class",
				"Missing required configuration \""+prefix+"class\" which has no default value."))
			continue
		}
		if _, err := newProvider(class, params, env); err != nil {
			problems = append(problems, KeyError(prefix+"class", "Invalid config provider "+name+": "+err.Error()))
			continue
		}
		r.classes[name], r.params[name] = class, params
	}
	return r, problems
}

// Resolve replaces the placeholders in the values (not in the keys, and not in what they are replaced by). As in
// Kafka, a placeholder of an unknown provider stays as it is; other than there, that is a warning, and a key that a
// known provider does not have is an error, rather than a connector that fails with a riddle later. A bare ${NAME}
// is taken from the environment, with a warning, and stays as it is if there is no such variable.
//
// Files are read anew by each call. Problems name the placeholder, never a value.
func (r *Resolver) Resolve(config map[string]string) (Resolved, []Problem) {
	out := Resolved{Config: maps.Clone(config), Tainted: map[string]string{}}
	if out.Config == nil {
		out.Config = map[string]string{}
	}
	var problems []Problem
	providers := map[string]provider{}
	for name, class := range r.classes {
		p, err := newProvider(class, r.params[name], r.env)
		if err != nil { // an allowed path vanished since the start
			problems = append(problems, KeyError("", "Invalid config provider "+name+": "+err.Error()))
			continue
		}
		providers[name] = p
	}
	for _, key := range sortedKeys(config) {
		s := substitution{resolver: r, providers: providers, key: key, text: config[key]}
		out.Config[key] = s.run()
		problems = append(problems, s.problems...)
		if len(s.parts) > 0 {
			out.Tainted[key] = config[key]
			out.parts = append(out.parts, s.parts...)
		}
	}
	return out, problems
}

// substitution replaces the placeholders of one value.
type substitution struct {
	resolver  *Resolver
	providers map[string]provider
	key, text string
	parts     []part
	problems  []Problem
}

func (s *substitution) run() string {
	var b strings.Builder
	done := 0
	for _, m := range placeholder.FindAllStringSubmatchIndex(s.text, -1) {
		group := func(n int) string {
			if m[2*n] < 0 {
				return ""
			}
			return s.text[m[2*n]:m[2*n+1]]
		}
		b.WriteString(s.text[done:m[0]])
		done = m[1]
		written := s.text[m[0]:m[1]]
		var value string
		var ok bool
		if bare := group(4); bare != "" {
			value, ok = s.bare(written, bare)
		} else {
			value, ok = s.provided(written, group(1), group(2), group(3))
		}
		if !ok {
			b.WriteString(written)
			continue
		}
		b.WriteString(value)
		s.parts = append(s.parts, part{key: s.key, value: value, whole: written == strings.TrimSpace(s.text)})
	}
	b.WriteString(s.text[done:])
	return b.String()
}

func (s *substitution) provided(written, name, path, key string) (string, bool) {
	p, ok := s.providers[name]
	if !ok {
		if _, broken := s.resolver.classes[name]; !broken {
			s.problems = append(s.problems, Problem{Key: s.key, Value: written, Severity: Warning,
				Message: written + " in " + s.key + " stays as it is: there is no config provider \"" + name + "\", only " +
					strings.Join(slices.Sorted(maps.Keys(s.providers)), ", ") + "."})
		}
		return "", false
	}
	value, err := p.get(path, key)
	if err != nil {
		s.problems = append(s.problems, Problem{Key: s.key, Value: written, Severity: Error,
			Message: "Invalid value " + written + " for configuration " + s.key + ": " + err.Error()})
		return "", false
	}
	return value, true
}

// bare looks a name up by the provider of environment variables, whatever it is called.
func (s *substitution) bare(written, name string) (string, bool) {
	for _, providerName := range slices.Sorted(maps.Keys(s.providers)) {
		p, ok := s.providers[providerName].(*envProvider)
		if !ok {
			continue
		}
		value, err := p.get("", name)
		message := written + " in " + s.key + " is taken from the environment; ${" + providerName + ":" + name +
			"} is the usual way to write it."
		if err != nil {
			message = written + " in " + s.key + " stays as it is: " + err.Error() + "."
		}
		s.problems = append(s.problems, Problem{Key: s.key, Value: written, Severity: Warning, Message: message})
		return value, err == nil
	}
	return "", false
}

// Format keeps secrets out of what is printed by mistake.
func (r Resolved) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "configs.Resolved(%d keys, %d tainted)", len(r.Config), len(r.Tainted))
}

// Redact puts what was written in the place of what it stands for, in problems that were found in the resolved
// configuration; in place, and returns them. A message that would still show the value gives way to a general one.
func (r Resolved) Redact(problems []Problem) []Problem {
	for i := range problems {
		p := &problems[i]
		written, ok := r.Tainted[p.Key]
		if !ok {
			continue
		}
		if p.Value != "" {
			p.Value = written
		}
		p.Near = ""
		p.Message = r.redactMessage(p.Key, p.Message)
	}
	return problems
}

// redactMessage returns a problem's message about a tainted key without the key's value.
func (r Resolved) redactMessage(key, message string) string {
	written, value := r.Tainted[key], r.Config[key]
	const before, after = "Invalid value ", " for configuration "
	rest := strings.TrimPrefix(message, before+value+after)
	shown := strings.TrimSpace(value)
	if rest != message && (shown == "" || !strings.Contains(rest, shown)) {
		return before + written + after + rest
	}
	if shown == "" || !strings.Contains(message, shown) {
		return message
	}
	return before + written + after + key + ": the value that it stands for is not valid"
}

// Restore returns a copy of a configuration that was derived from the resolved one (a task's), with the written text
// put back for each tainted key, so that it can be stored and shown.
func (r Resolved) Restore(config map[string]string) map[string]string {
	out := maps.Clone(config)
	for key, written := range r.Tainted {
		if _, ok := out[key]; ok {
			out[key] = written
		}
	}
	return out
}
