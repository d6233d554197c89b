// Package transforms changes records between a connector and the log, one at a time, as Kafka Connect's single message
// transforms do: those of Apache Kafka and those of Debezium that its users need most. They are configured as in
// Connect:
//
//	transforms=unwrap,route
//	transforms.unwrap.type=io.debezium.transforms.ExtractNewRecordState
//	transforms.unwrap.predicate=isOrder
//	transforms.unwrap.negate=true
//	predicates=isOrder
//	predicates.isOrder.type=org.apache.kafka.connect.transforms.predicates.TopicNameMatches
//	predicates.isOrder.pattern=shop\.orders
//
// They work on encoded values wherever they can: what a transform does to a schema is worked out once per schema, and
// for each record bytes are copied. Schemaless values are JSON text.
package transforms

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// transform changes a record in place, or drops it. It must not change bytes or header lists that the record came
// with, because they are shared and because the hub may try again with the original.
type transform interface {
	apply(r *connectors.Record) (keep bool, err error)
}

// Chain is the chain of transforms of one task. It is for one goroutine at a time.
type Chain struct {
	links []link
}

type link struct {
	name, class string
	transform   transform
	when        predicate // nil: always
	negate      bool
}

// Error says which transform failed.
type Error struct {
	Name  string // as in transforms=
	Class string // its Java class
	Err   error
}

// Error returns the transform's name and the cause.
func (e *Error) Error() string { return fmt.Sprintf("transform %s: %v", e.Name, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// TransformClass returns the Java class of the transform that failed, for the headers of dead letters.
func (e *Error) TransformClass() string { return e.Class }

// New makes the chain that a connector's configuration describes. Keys that do not belong to transforms or predicates
// are ignored.
func New(config map[string]string) (*Chain, error) {
	d, problems := Define(config)
	if err := configs.Err(problems); err != nil {
		return nil, err
	}
	own := map[string]string{}
	for key, value := range config {
		if strings.HasPrefix(key, "transforms") || strings.HasPrefix(key, "predicates") {
			own[key] = value
		}
	}
	v, problems := d.Parse(own)
	if err := configs.Err(problems); err != nil {
		return nil, err
	}
	memory := &arena{}
	c := &Chain{}
	for _, name := range names(config["transforms"]) {
		values := v.Sub("transforms." + name + ".")
		class, at, err := findTransform(values.String("type"))
		if err != nil {
			return nil, err
		}
		l := link{name: name, class: values.String("type"), negate: values.Bool("negate")}
		if l.transform, err = class.make(values, at, memory); err != nil {
			return nil, fmt.Errorf("transforms.%s: %w", name, err)
		}
		if p := values.String("predicate"); p != "" {
			if l.when, err = newPredicate(v.Sub("predicates." + p + ".")); err != nil {
				return nil, fmt.Errorf("predicates.%s: %w", p, err)
			}
		}
		c.links = append(c.links, l)
	}
	return c, nil
}

// Empty reports whether there is no transform in the chain.
func (c *Chain) Empty() bool { return len(c.links) == 0 }

// Apply passes the record through the chain, in order, and changes it in place. It reports whether the record is to be
// kept; a dropped record passes no further transform. An error is an *Error and is about this record; r is then
// partly changed.
func (c *Chain) Apply(r *connectors.Record) (keep bool, err error) {
	for i := range c.links {
		l := &c.links[i]
		if l.when != nil && l.when.holds(r) == l.negate {
			continue
		}
		if keep, err = l.transform.apply(r); err != nil {
			return false, &Error{l.name, l.class, err}
		}
		if !keep {
			return false, nil
		}
	}
	return true, nil
}

// Class describes a transform or predicate.
type Class struct {
	Name   string // Java class; for a transform of keys or values without $Key and $Value
	Sides  bool   // there is a $Key and a $Value of it
	Config *configs.Definition
	make   func(v configs.Values, at side, a *arena) (transform, error)
}

// Names returns the Java class names under which the class is configured.
func (c Class) Names() []string {
	if c.Sides {
		return []string{c.Name + "$Key", c.Name + "$Value"}
	}
	return []string{c.Name}
}

// Classes lists the transforms.
func Classes() []Class {
	const kafka, debezium = "org.apache.kafka.connect.transforms.", "io.debezium.transforms."
	return []Class{
		{debezium + "ByLogicalTableRouter", false, logicalTableDefinition(), newLogicalTable},
		{debezium + "outbox.EventRouter", false, eventRouterDefinition(), newEventRouter},
		{debezium + "ExtractNewRecordState", false, unwrapDefinition(), newUnwrap},
		{debezium + "UnwrapFromEnvelope", false, unwrapFromEnvelopeDefinition(), newUnwrapFromEnvelope},
		{debezium + "HeaderToValue", false, headerToValueDefinition(), newHeaderToValue},
		{debezium + "ExtractChangedRecordState", false, changedStateDefinition(), newChangedState},
		{debezium + "partitions.PartitionRouting", false, partitionRoutingDefinition(), newPartitionRouting},
		{debezium + "SchemaChangeEventFilter", false, schemaChangeFilterDefinition(), newSchemaChangeFilter},
		{debezium + "TimezoneConverter", false, timezoneConverterDefinition(), newTimezoneConverter},
		{debezium + "VectorToJsonConverter", false, &configs.Definition{}, newVectorToJSON},
		{"io.debezium.connector.mysql.transforms.ReadToInsertEvent", false, &configs.Definition{}, newReadToInsert},
		{"io.debezium.connector.postgresql.transforms.DecodeLogicalDecodingMessageContent", false, decodeMessageDefinition(), newDecodeMessage},
		{kafka + "Cast", true, castDefinition(), newCast},
		{kafka + "DropHeaders", false, dropHeadersDefinition(), newDropHeaders},
		{kafka + "ExtractField", true, extractFieldDefinition(), newExtractField},
		{kafka + "Filter", false, &configs.Definition{}, newFilter},
		{kafka + "Flatten", true, flattenDefinition(), newFlatten},
		{kafka + "HeaderFrom", true, headerFromDefinition(), newHeaderFrom},
		{kafka + "HoistField", true, hoistFieldDefinition(), newHoistField},
		{kafka + "InsertField", true, insertFieldDefinition(), newInsertField},
		{kafka + "InsertHeader", false, insertHeaderDefinition(), newInsertHeader},
		{kafka + "MaskField", true, maskFieldDefinition(), newMaskField},
		{kafka + "RegexRouter", false, regexRouterDefinition(), newRegexRouter},
		{kafka + "ReplaceField", true, replaceFieldDefinition(), newReplaceField},
		{kafka + "SetSchemaMetadata", true, setSchemaMetadataDefinition(), newSetSchemaMetadata},
		{kafka + "TimestampConverter", true, timestampConverterDefinition(), newTimestampConverter},
		{kafka + "TimestampRouter", false, timestampRouterDefinition(), newTimestampRouter},
		{kafka + "ValueToKey", false, valueToKeyDefinition(), newValueToKey},
	}
}

// findTransform returns the class of that name: a Java class name, with or without its package.
func findTransform(name string) (Class, side, error) {
	var known []string
	for _, c := range Classes() {
		for _, full := range c.Names() {
			if name == full || name == simpleName(full) {
				if strings.HasSuffix(full, "$Key") {
					return c, keySide, nil
				}
				return c, valueSide, nil
			}
			known = append(known, full)
		}
		if name == c.Name || name == simpleName(c.Name) {
			return c, valueSide, fmt.Errorf("transform %s works on the key or the value: write %s$Key or %s$Value", name, c.Name, c.Name)
		}
	}
	if why := refused(name); why != "" {
		return Class{}, valueSide, fmt.Errorf("transform %s is not there: it %s", name, why)
	}
	return Class{}, valueSide, fmt.Errorf("transform %s is not known%s", name, nearest(name, known))
}

// refused says why a transform of Debezium is not there, and what is instead.
func refused(name string) string {
	switch name {
	case "io.debezium.transforms.Filter":
		return "runs scripts of other languages; org.apache.kafka.connect.transforms.Filter with a predicate drops records"
	case "io.debezium.transforms.ContentBasedRouter":
		return "runs scripts of other languages; route.by.field of io.debezium.transforms.ExtractNewRecordState routes by a column"
	case "io.debezium.transforms.tracing.ActivateTracingSpan":
		return "hands records to a tracer in the Java process, which there is none of"
	case "io.debezium.transforms.openlineage.OpenLineage":
		return "reports to an OpenLineage client in the Java process, which there is none of"
	case "io.debezium.connector.postgresql.transforms.timescaledb.TimescaleDb":
		return "asks the database about chunks with its own connection; capture the hypertables by a publication with publish_via_partition_root instead"
	}
	return ""
}

// simpleName returns a class name without its package.
func simpleName(class string) string { return class[strings.LastIndexByte(class, '.')+1:] }

// packageName returns what simpleName leaves out.
func packageName(class string) string { return strings.TrimSuffix(class, simpleName(class)) }

// nearest returns "; did you mean …?" with the known class nearest to a name. A class of another package is another
// one, however much its name is like it.
func nearest(name string, known []string) string {
	best, least := "", 1+len(simpleName(name))/2
	for _, k := range known {
		if strings.Contains(name, ".") && distance(packageName(name), packageName(k)) > 2 {
			continue
		}
		if d := distance(strings.ToLower(simpleName(name)), strings.ToLower(simpleName(k))); d < least {
			best, least = k, d
		}
	}
	if best == "" {
		return "; there are " + strings.Join(known, ", ")
	}
	return "; did you mean " + best + "?"
}

// distance counts the insertions, deletions and replacements between two texts.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal + 1
			if a[i] == b[j] {
				cost = diagonal
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// names splits a list of names.
func names(list string) (out []string) {
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			out = append(out, name)
		}
	}
	return out
}

// Define returns the definition of all keys of the transforms and predicates that a configuration names
// ("transforms.unwrap.add.fields"), and what is wrong with the names and types themselves. Connect groups the keys of
// each as "Transforms: unwrap".
func Define(config map[string]string) (*configs.Definition, []configs.Problem) {
	list := func(name, doc string) configs.Key {
		return configs.Key{Name: name, Type: configs.List, DefaultEmpty: true, Importance: configs.Low, Doc: doc}
	}
	d := &configs.Definition{Keys: []configs.Key{
		list("transforms", "Names of the transforms to apply, in order."), list("predicates", "Names of the predicates that transforms use.")}}
	var problems []configs.Problem
	predicates := names(config["predicates"])
	for i, name := range names(config["transforms"]) {
		if slices.Contains(names(config["transforms"])[:i], name) {
			problems = append(problems, configs.KeyError("transforms", fmt.Sprintf("transform %s is listed twice", name)))
			continue
		}
		prefix := "transforms." + name + "."
		keys := &configs.Definition{Keys: []configs.Key{
			{Name: "type", Type: configs.Class, Required: true, Importance: configs.High, Doc: "Class of the transform."},
			{Name: "predicate", Type: configs.String, DefaultEmpty: true, Importance: configs.Medium, Doc: "The predicate that says which records to transform; all, if it is absent."},
			{Name: "negate", Type: configs.Boolean, Default: "false", Importance: configs.Medium, Doc: "Whether to transform the records for which the predicate does not hold."},
		}}
		if class := strings.TrimSpace(config[prefix+"type"]); class != "" {
			c, _, err := findTransform(class)
			if err != nil {
				problems = append(problems, configs.KeyError(prefix+"type", err.Error()))
				keys.Keys = append(keys.Keys, configs.Key{Name: "*", Type: configs.String, Doc: "Of an unknown transform."})
			} else {
				keys = configs.Concat(keys, c.Config)
			}
		}
		if p := strings.TrimSpace(config[prefix+"predicate"]); p != "" && !slices.Contains(predicates, p) {
			problems = append(problems, configs.KeyError(prefix+"predicate", fmt.Sprintf("predicate %s is not in the list predicates", p)))
		}
		d = configs.Concat(d, keys.WithPrefix(prefix, "Transforms: "+name))
	}
	for _, name := range predicates {
		keys, more := definePredicate("predicates."+name+".", config)
		problems = append(problems, more...)
		d = configs.Concat(d, keys.WithPrefix("predicates."+name+".", "Predicates: "+name))
	}
	return d, problems
}
