package hub

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/tlsstore"
)

// Keys of Kafka's clients that say how they talk to brokers, and as whom.
const (
	securityProtocol = "security.protocol"
	saslMechanism    = "sasl.mechanism"
	saslJAAS         = "sasl.jaas.config"
)

// The protocols.
const (
	protocolPlaintext     = "PLAINTEXT"
	protocolSSL           = "SSL"
	protocolSASLPlaintext = "SASL_PLAINTEXT"
	protocolSASLSSL       = "SASL_SSL"
)

// The mechanisms. Kafka's default is GSSAPI.
const (
	mechanismPlain       = "PLAIN"
	mechanismScramSHA256 = "SCRAM-SHA-256"
	mechanismScramSHA512 = "SCRAM-SHA-512"
)

// The login modules that carry a name and a password.
const (
	plainLogin = "org.apache.kafka.common.security.plain.PlainLoginModule"
	scramLogin = "org.apache.kafka.common.security.scram.ScramLoginModule"
)

const supportedMechanisms = mechanismPlain + ", " + mechanismScramSHA256 + " and " + mechanismScramSHA512

// securityDefinition declares the keys. The same stand at the top of the worker's configuration, behind producer.,
// consumer. and admin., and in a connector's overrides.
func securityDefinition() *configs.Definition {
	const group = "Security"
	own := &configs.Definition{Keys: []configs.Key{
		{Name: securityProtocol, Type: configs.String, Default: protocolPlaintext, Importance: configs.Medium, Group: group,
			Enum: []string{protocolPlaintext, protocolSSL, protocolSASLPlaintext, protocolSASLSSL},
			Doc:  "How the brokers of bootstrap.servers are talked to: SSL is TLS, SASL is user and password."},
		{Name: saslMechanism, Type: configs.String, Importance: configs.Medium, Group: group, Example: mechanismScramSHA512,
			Doc: "How the password is proved, with SASL_PLAINTEXT and SASL_SSL: " + supportedMechanisms + "."},
		{Name: saslJAAS, Type: configs.Password, Importance: configs.Medium, Group: group,
			Example: scramLogin + ` required username="sluice" password="${env:KAFKA_PASSWORD}";`,
			Doc:     "User and password, in the form of Kafka's clients: the class PlainLoginModule or ScramLoginModule, required, username=\"…\" password=\"…\";"},
	}}
	all := configs.Concat(own, tlsstore.Definition())
	for _, name := range []string{"ssl.protocol", "ssl.enabled.protocols", "ssl.cipher.suites", "ssl.provider", "ssl.keymanager.algorithm",
		"ssl.trustmanager.algorithm", "ssl.secure.random.implementation", "ssl.engine.factory.class", "security.providers"} {
		all.Keys = append(all.Keys, withoutEffect(name, "TLS here is Go's, versions 1.2 and 1.3."))
	}
	for _, name := range []string{"sasl.client.callback.handler.class", "sasl.login.callback.handler.class", "sasl.login.class", "sasl.kerberos.service.name"} {
		all.Keys = append(all.Keys, withoutEffect(name, "user and password of sasl.jaas.config are all that is used."))
	}
	return all
}

func withoutEffect(name, why string) configs.Key {
	k := notUsed(name)
	k.Notice = name + " has no effect: " + why
	return k
}

// splitSecurity takes the keys of securityDefinition out of settings.
func splitSecurity(given map[string]string) (security, rest map[string]string) {
	security, rest = map[string]string{}, map[string]string{}
	for _, k := range securityDefinition().Keys {
		if value, ok := given[k.Name]; ok {
			security[k.Name] = value
		}
	}
	for key, value := range given {
		if _, ok := security[key]; !ok {
			rest[key] = value
		}
	}
	return security, rest
}

// layer is what one place says about security: the worker at its top, the worker about one kind of client, and a
// connector about that kind. Each stands on the one before, key by key.
type layer struct {
	prefix string
	keys   map[string]string
}

// layersOf returns all layers of a kind of client, with the settings of a connector.
func (h *Hub) layersOf(kind clientKind, s settings) []layer {
	of := func(producer, consumer, admin clientSettings) map[string]string {
		switch kind {
		case clientProducer:
			return producer.security
		case clientConsumer:
			return consumer.security
		}
		return admin.security
	}
	prefix := string(kind) + "."
	return []layer{{keys: h.security}, {prefix, of(h.producer, h.consumer, h.adminSettings)}, {prefix + "override.", of(s.producer, s.consumer, s.admin)}}
}

// top returns the keys that hold after all layers, and the prefix of the last one that says something.
func top(layers ...layer) layer {
	out := layer{keys: map[string]string{}}
	for i, l := range layers {
		if i == 0 || len(l.keys) > 0 {
			out.prefix = l.prefix
		}
		// Of a store in a file and one in the configuration, the later layer's counts.
		for _, pair := range [][2]string{{"ssl.truststore.location", "ssl.truststore.certificates"}, {"ssl.keystore.location", "ssl.keystore.key"},
			{"ssl.keystore.location", "ssl.keystore.certificate.chain"}} {
			for j, key := range pair {
				if _, ok := l.keys[key]; ok {
					delete(out.keys, pair[1-j])
				}
			}
		}
		maps.Copy(out.keys, l.keys)
	}
	return out
}

// own reports whether a layer above the first says something.
func own(layers []layer) bool {
	return slices.ContainsFunc(layers[1:], func(l layer) bool { return len(l.keys) > 0 })
}

// parse returns the typed values, under their names with the prefix, and what is wrong with them.
func (l layer) parse() (configs.Values, []configs.Problem) {
	given := map[string]string{}
	for key, value := range l.keys {
		given[l.prefix+key] = value
	}
	definition := securityDefinition().WithPrefix(l.prefix, "")
	v, problems := definition.Parse(given)
	if configs.Err(problems) == nil && strings.HasPrefix(v.String(l.prefix+securityProtocol), "SASL_") {
		if _, problem := l.mechanism(v); problem != nil {
			problems = append(problems, *problem)
		}
	}
	return v, problems
}

// mechanism returns how the client logs in.
func (l layer) mechanism(v configs.Values) (sasl.Mechanism, *configs.Problem) {
	failed := func(key, message string) (sasl.Mechanism, *configs.Problem) {
		p := configs.KeyError(l.prefix+key, l.prefix+key+": "+message)
		return nil, &p
	}
	name := v.String(l.prefix + saslMechanism)
	switch name {
	case mechanismPlain, mechanismScramSHA256, mechanismScramSHA512:
	case "":
		return failed(saslMechanism, "it is missing, which means GSSAPI (Kerberos) to Kafka's clients and is not supported; set it to one of "+supportedMechanisms)
	case "GSSAPI":
		return failed(saslMechanism, "GSSAPI (Kerberos) is not supported: no Kerberos is in this program; what is supported are "+supportedMechanisms)
	case "OAUTHBEARER":
		return failed(saslMechanism, "OAUTHBEARER is not supported: its tokens come from Java classes that the configuration names; what is supported are "+supportedMechanisms)
	default:
		return failed(saslMechanism, name+" is not supported; what is supported are "+supportedMechanisms)
	}
	text := v.Password(l.prefix + saslJAAS).Reveal()
	if strings.TrimSpace(text) == "" {
		return failed(saslJAAS, "it is missing; "+saslMechanism+"="+name+" needs "+jaasForm(name))
	}
	m, err := parseJAAS(text)
	if err != nil {
		return failed(saslJAAS, "it cannot be read: "+err.Error()+"; want "+jaasForm(name))
	}
	if err := m.usable(); err != nil {
		return failed(saslJAAS, err.Error()+"; want "+jaasForm(name))
	}
	user, password := m.options["username"], m.options["password"]
	if name == mechanismPlain {
		return plain.Auth{User: user, Pass: password}.AsMechanism(), nil
	}
	auth := scram.Auth{User: user, Pass: password, IsToken: strings.EqualFold(m.options["tokenauth"], "true")}
	if name == mechanismScramSHA256 {
		return auth.AsSha256Mechanism(), nil
	}
	return auth.AsSha512Mechanism(), nil
}

// usable reports why an entry gives no user and password.
func (m loginModule) usable() error {
	switch {
	case m.class == plainLogin || m.class == scramLogin: // Kafka takes either with any mechanism of a password
	case strings.HasSuffix(m.class, "Krb5LoginModule"):
		return fmt.Errorf("%s (Kerberos) is not supported: no Kerberos is in this program", m.class)
	case strings.HasSuffix(m.class, "OAuthBearerLoginModule"):
		return fmt.Errorf("%s is not supported: its tokens come from Java classes that the configuration names", m.class)
	case strings.HasSuffix(m.class, "LoginModule"):
		return fmt.Errorf("the login module %s is not supported", m.class)
	default: // it may be a password that stands in the wrong place
		return errors.New("it does not begin with a login module")
	}
	for _, name := range []string{"username", "password"} {
		if m.options[name] == "" {
			return errors.New("it has no " + name)
		}
	}
	return nil
}

// jaasForm shows how it is written.
func jaasForm(mechanism string) string {
	class := scramLogin
	if mechanism == mechanismPlain {
		class = plainLogin
	}
	return class + ` required username="…" password="…";`
}

// checkSecurity returns what is wrong with the last layer.
func (h *Hub) checkSecurity(layers []layer) []configs.Problem {
	last := layers[len(layers)-1]
	if len(last.keys) == 0 {
		return nil
	}
	if !h.external {
		return last.unused()
	}
	_, problems := top(layers...).parse()
	return slices.DeleteFunc(problems, func(p configs.Problem) bool {
		_, ours := last.keys[strings.TrimPrefix(p.Key, last.prefix)]
		return !ours && !p.IsError()
	})
}

// checkOverrides returns what is wrong with what a connector says about security.
func (h *Hub) checkOverrides(s settings) []configs.Problem {
	var problems []configs.Problem
	for _, kind := range []clientKind{clientProducer, clientConsumer, clientAdmin} {
		problems = append(problems, h.checkSecurity(h.layersOf(kind, s))...)
	}
	return problems
}

// unused returns that the keys mean nothing to the embedded log.
func (l layer) unused() []configs.Problem {
	var problems []configs.Problem
	for _, key := range slices.Sorted(maps.Keys(l.keys)) {
		key = l.prefix + key
		problems = append(problems, configs.KeyWarning(key, key+" has no effect: without bootstrap.servers the log is embedded and reached within this process."))
	}
	return problems
}

// workerSecurity is the rule about the keys at the top of a worker's configuration.
func workerSecurity() configs.Rule {
	keys := []string{"bootstrap.servers"}
	for _, k := range securityDefinition().Keys {
		keys = append(keys, k.Name)
	}
	return configs.Check("user, password and stores are there if the protocol needs them", keys, func(v configs.Values) []configs.Problem {
		given, _ := splitSecurity(v.Raw())
		worker := layer{keys: given}
		if !external(v.Raw()) {
			return worker.unused()
		}
		_, problems := worker.parse()
		return slices.DeleteFunc(problems, func(p configs.Problem) bool { return !p.IsError() }) // the keys' own notices are given already
	})
}

// brokers returns the options with which a client of a connector reaches the brokers. If it does so in another way
// than the worker, it is tried at once: the client itself would try for ever.
func (h *Hub) brokers(ctx context.Context, kind clientKind, s settings) ([]kgo.Opt, error) {
	layers := h.layersOf(kind, s)
	if !h.external || !own(layers) {
		return slices.Clone(h.base), nil
	}
	l := top(layers...)
	opts, err := l.options()
	if err != nil {
		return nil, &connectors.Error{Op: "read what " + l.prefix + " says about security", Class: connectors.ClassConfig, Err: err}
	}
	opts = append(slices.Clone(h.seeds), opts...)
	if err := askBrokers(ctx, opts); err != nil {
		if remedy := l.remedy(err); remedy != "" {
			return nil, &connectors.Error{Op: "reach the brokers as the " + string(kind), Class: connectors.ClassEnvironment, Err: err, Remedy: remedy}
		}
	}
	return opts, nil
}

// options returns what makes a client talk in that way. Stores are read.
func (l layer) options() ([]kgo.Opt, error) {
	v, problems := l.parse()
	if err := configs.Err(problems); err != nil {
		return nil, err
	}
	protocol := v.String(l.prefix + securityProtocol)
	var opts []kgo.Opt
	if strings.HasPrefix(protocol, "SASL_") {
		m, problem := l.mechanism(v)
		if problem != nil {
			return nil, problem
		}
		opts = append(opts, kgo.SASL(m))
	}
	if strings.HasSuffix(protocol, "SSL") {
		config, err := tlsstore.Config(v, l.prefix)
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.DialTLSConfig(config))
	}
	return opts, nil
}

// securityOptions returns how the worker's clients talk to the brokers of bootstrap.servers, and as whom, by its keys
// security.protocol, sasl.… and ssl.…. There are none for the embedded log. Stores are read.
func securityOptions(worker map[string]string) ([]kgo.Opt, error) {
	if !external(worker) {
		return nil, nil
	}
	keys, _ := splitSecurity(worker)
	return layer{keys: keys}.options()
}

// external reports whether the log is a cluster elsewhere. Only there security means something: the embedded log is
// reached within the process.
func external(worker map[string]string) bool {
	return strings.TrimSpace(worker["bootstrap.servers"]) != ""
}

// jaasSecrets returns the passwords inside values of sasl.jaas.config, wherever they are.
func jaasSecrets(config map[string]string) []string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(config)) {
		if key != saslJAAS && !strings.HasSuffix(key, "."+saslJAAS) {
			continue
		}
		if m, err := parseJAAS(config[key]); err == nil {
			for name, value := range m.options {
				if strings.Contains(strings.ToLower(name), "password") {
					out = append(out, value)
				}
			}
		}
	}
	slices.Sort(out)
	return out
}

// Secrets returns every text of a configuration that must not be printed: those that the definition knows of, and the
// passwords inside values of sasl.jaas.config.
func Secrets(d *configs.Definition, r configs.Resolved) []string {
	return append(d.Secrets(r), jaasSecrets(r.Config)...)
}
