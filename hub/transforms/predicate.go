package transforms

import (
	"fmt"
	"strings"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// predicate says whether a transform applies to a record.
type predicate interface {
	holds(r *connectors.Record) bool
}

const predicatePackage = "org.apache.kafka.connect.transforms.predicates."

// Predicates lists the predicates, by their Java class names.
func Predicates() []Class {
	return []Class{
		{Name: predicatePackage + "HasHeaderKey", Config: &configs.Definition{Keys: []configs.Key{
			{Name: "name", Type: configs.String, Required: true, Importance: configs.Medium, Doc: "Name of the header."}}}},
		{Name: predicatePackage + "RecordIsTombstone", Config: &configs.Definition{}},
		{Name: predicatePackage + "TopicNameMatches", Config: &configs.Definition{Keys: []configs.Key{
			{Name: "pattern", Type: configs.String, Required: true, Importance: configs.Medium, Check: CheckRegexp,
				Doc: "Regular expression that the whole name of the record's topic matches."}}}},
	}
}

func findPredicate(name string) (Class, error) {
	var known []string
	for _, c := range Predicates() {
		if name == c.Name || name == simpleName(c.Name) {
			return c, nil
		}
		known = append(known, c.Name)
	}
	return Class{}, fmt.Errorf("predicate %s is not known%s", name, nearest(name, known))
}

func definePredicate(prefix string, config map[string]string) (*configs.Definition, []configs.Problem) {
	keys := &configs.Definition{Keys: []configs.Key{{Name: "type", Type: configs.Class, Required: true, Importance: configs.High, Doc: "Class of the predicate."}}}
	class := strings.TrimSpace(config[prefix+"type"])
	if class == "" {
		return keys, nil
	}
	c, err := findPredicate(class)
	if err != nil {
		keys.Keys = append(keys.Keys, configs.Key{Name: "*", Type: configs.String, Doc: "Of an unknown predicate."})
		return keys, []configs.Problem{configs.KeyError(prefix+"type", err.Error())}
	}
	return configs.Concat(keys, c.Config), nil
}

func newPredicate(v configs.Values) (predicate, error) {
	c, err := findPredicate(v.String("type"))
	if err != nil {
		return nil, err
	}
	switch simpleName(c.Name) {
	case "HasHeaderKey":
		return hasHeaderKey(v.String("name")), nil
	case "RecordIsTombstone":
		return recordIsTombstone{}, nil
	}
	pattern, err := compileJava(v.String("pattern"))
	return topicNameMatches{pattern}, err
}

// topicNameMatches holds if the whole name of the topic matches.
type topicNameMatches struct{ pattern *javaRegexp }

func (p topicNameMatches) holds(r *connectors.Record) bool { return p.pattern.matches(r.Topic) }

// hasHeaderKey holds if there is a header of that name.
type hasHeaderKey string

func (p hasHeaderKey) holds(r *connectors.Record) bool {
	for i := range r.Headers {
		if r.Headers[i].Key == string(p) {
			return true
		}
	}
	return false
}

// recordIsTombstone holds if the value is null.
type recordIsTombstone struct{}

func (recordIsTombstone) holds(r *connectors.Record) bool { return isNull(r.Value) }
