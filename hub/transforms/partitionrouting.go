package transforms

import (
	"fmt"
	"math"
	"strings"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

func partitionRoutingDefinition() *configs.Definition {
	return &configs.Definition{Keys: []configs.Key{
		{Name: "partition.payload.fields", Type: configs.List, Required: true, Importance: configs.High, Example: "change.customer_id,source.table", Check: checkPaths,
			Doc: "Fields of the envelope that decide about the partition, structs and fields with a dot between. change is the row after the change, or before a delete. What is missing or null does not count."},
		{Name: "partition.topic.num", Type: configs.Int, Required: true, Min: "1", Importance: configs.High, Doc: "Number of partitions of the topic. A predicate can choose the topics."},
		{Name: "partition.hash.function", Type: configs.String, Default: "java", Importance: configs.Low, Doc: "How the fields are hashed: java (their hashCode) or murmur. Anything else is java."},
	}}
}

// checkPaths refuses an empty list: all of its names would be missing.
func checkPaths(list string) error {
	if len(names(list)) == 0 {
		return fmt.Errorf("is empty")
	}
	return nil
}

// partitionRouting is Debezium's PartitionRouting: fields of a change decide about its partition.
//
//	partition = (hash(field) + hash(field) + …) & 0x7fffffff mod partition.topic.num
type partitionRouting struct {
	paths  [][]string
	number int32
	hash   func(*connectors.Schema, connectors.Value) int32

	plans cache[*partitionPlan]
	split splitter
}

// partitionPlan is where the fields are in the envelopes of one schema.
type partitionPlan struct {
	op             int // of the operation in the envelope
	fields, delete []foundPath
}

// foundPath is a field below structs.
type foundPath struct {
	name  string
	steps []int // indices of fields, from the outermost struct on
}

func newPartitionRouting(v configs.Values, _ side, _ *arena) (transform, error) {
	t := &partitionRouting{number: int32(v.Int("partition.topic.num")), hash: javaHash}
	if strings.EqualFold(strings.TrimSpace(v.String("partition.hash.function")), "murmur") {
		t.hash = murmurHash
	}
	for _, f := range v.List("partition.payload.fields") {
		path := strings.Split(f, ".")
		for i := range path {
			path[i] = strings.TrimSpace(path[i])
		}
		t.paths = append(t.paths, path)
	}
	return t, nil
}

func (t *partitionRouting) apply(r *connectors.Record) (bool, error) {
	if isNull(r.Value) || !isNamedEnvelope(r.Value.Schema) {
		return true, nil
	}
	p, err := t.plans.get(r.Value.Schema, t.compile)
	if err != nil {
		return false, err
	}
	raws, err := t.split.fields(r.Value)
	if err != nil {
		return false, err
	}
	op, _, err := connectors.ReadValue(r.Value.Schema.Fields[p.op].Schema, raws[p.op])
	if err != nil {
		return false, err
	}
	fields := p.fields
	switch string(op.Raw()) {
	case "t", "m":
		return true, nil
	case "d":
		fields = p.delete
	}
	total, any := int32(0), false
	for i := range fields {
		s, v, err := fields[i].read(r.Value.Schema, raws)
		if err != nil {
			return false, err
		}
		if !v.IsNull() {
			total, any = total+t.hash(s, v), true
		}
	}
	if total &= math.MaxInt32; total == math.MaxInt32 {
		total = 0
	}
	if any {
		r.Partition = total % t.number
	}
	return true, nil
}

func (t *partitionRouting) compile(s *connectors.Schema) (*partitionPlan, error) {
	op, err := opField(s)
	if err != nil {
		return nil, err
	}
	p := &partitionPlan{op: op}
	for _, path := range t.paths {
		if f, ok := findPath(s, path, "after"); ok {
			p.fields = append(p.fields, f)
		}
		if f, ok := findPath(s, path, "before"); ok {
			p.delete = append(p.delete, f)
		}
	}
	return p, nil
}

// findPath finds a field. change stands for another struct, unless it is the field itself.
func findPath(s *connectors.Schema, path []string, change string) (f foundPath, ok bool) {
	for i, name := range path {
		if i < len(path)-1 && name == "change" {
			name = change
		}
		at := s.FieldIndex(name)
		if at < 0 || i < len(path)-1 && s.Fields[at].Schema.Type != connectors.Struct {
			return f, false
		}
		f.steps, s = append(f.steps, at), s.Fields[at].Schema
	}
	f.name = strings.Join(path, ".")
	return f, true
}

// read returns a field's value, or its default. A null in the place of a struct is an error, as in Java.
func (f *foundPath) read(s *connectors.Schema, raws [][]byte) (*connectors.Schema, connectors.Value, error) {
	at := s.Fields[f.steps[0]].Schema
	raw := raws[f.steps[0]]
	for _, step := range f.steps[1:] {
		present, src, err := connectors.ReadPresent(at, raw)
		if err != nil {
			return nil, connectors.Value{}, err
		}
		if !present {
			return nil, connectors.Value{}, fmt.Errorf("partition.payload.fields: %s is within a struct that is null; change.FIELD is of the row before a delete and after any other change", f.name)
		}
		for i := range step {
			if src, err = connectors.SkipValue(at.Fields[i].Schema, src); err != nil {
				return nil, connectors.Value{}, err
			}
		}
		at, raw = at.Fields[step].Schema, src
	}
	v, _, err := connectors.ReadValue(at, raw)
	if v.IsNull() && at.Default != nil {
		v = *at.Default
	}
	return at, v, err
}
