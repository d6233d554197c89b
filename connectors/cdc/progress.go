package cdc

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Part is a table of an incremental snapshot.
type Part struct {
	Table     Table
	Condition string // SQL; "" is all rows
	Surrogate string // the column to go by; "" is the primary key
}

// Progress is where an incremental snapshot stands. It is stored in the source offset, in members that have
// Debezium's names:
//
//	incremental_snapshot_collections     the tables still to be read, as a text of JSON; the first one is being read
//	incremental_snapshot_primary_key     the key of the last row delivered of it, as a text of JSON: ["DE","3"]
//	incremental_snapshot_maximum_key     the greatest key when reading it began: rows beyond it come by the stream
//	incremental_snapshot_correlation_id  the signal that asked for it
//	incremental_snapshot_paused          true while it is paused
//
// Debezium has the two keys as serialized Java objects; a table that one of these is of is read from its begin.
type Progress struct {
	Parts       []Part
	Last        []string // texts of the key's columns; nil before the first row
	Max         []string // nil before reading began
	Correlation string
	Paused      bool
}

// storedPart is a table as it is stored.
type storedPart struct {
	ID        string  `json:"incremental_snapshot_collections_id"`
	Condition *string `json:"incremental_snapshot_collections_additional_condition"`
	Surrogate *string `json:"incremental_snapshot_collections_surrogate_key"`
}

// AppendOffset appends the members to an offset whose last one ends with a comma. A nil *Progress has none.
func (i *Progress) AppendOffset(dst []byte) []byte {
	if i == nil || len(i.Parts) == 0 {
		return dst
	}
	text := func(name string, v any) {
		inner, _ := json.Marshal(v) // of texts and plain structs: cannot fail
		outer, _ := json.Marshal(string(inner))
		dst = append(append(append(dst, `"incremental_snapshot_`...), name...), `":`...)
		dst = append(append(dst, outer...), ',')
	}
	orNull := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	var parts []storedPart
	for _, p := range i.Parts {
		parts = append(parts, storedPart{p.Table.String(), orNull(p.Condition), orNull(p.Surrogate)})
	}
	text("collections", parts)
	if i.Last != nil {
		text("primary_key", i.Last)
	}
	if i.Max != nil {
		text("maximum_key", i.Max)
	}
	if i.Correlation != "" {
		id, _ := json.Marshal(i.Correlation)
		dst = append(append(append(dst, `"incremental_snapshot_correlation_id":`...), id...), ',')
	}
	if i.Paused {
		dst = append(dst, `"incremental_snapshot_paused":true,`...)
	}
	return dst
}

// ReadProgress finds the members in a stored offset; nil if it has none. restarted says that the keys are not ours,
// so that the first table begins again.
func ReadProgress(m map[string]json.RawMessage) (i *Progress, restarted bool, err error) {
	var list string
	if raw, ok := m["incremental_snapshot_collections"]; !ok || json.Unmarshal(raw, &list) != nil || list == "" {
		return nil, false, nil
	}
	var parts []storedPart
	if err := json.Unmarshal([]byte(list), &parts); err != nil {
		return nil, false, fmt.Errorf("incremental_snapshot_collections of the offset cannot be read: %w", err)
	}
	i = &Progress{}
	for _, p := range parts {
		schema, name, ok := strings.Cut(strings.ReplaceAll(p.ID, `"`, ""), ".")
		if !ok {
			return nil, false, fmt.Errorf("incremental_snapshot_collections of the offset names %q, which is not schema.table", p.ID)
		}
		part := Part{Table: Table{schema, name}}
		if p.Condition != nil {
			part.Condition = *p.Condition
		}
		if p.Surrogate != nil {
			part.Surrogate = *p.Surrogate
		}
		i.Parts = append(i.Parts, part)
	}
	if len(i.Parts) == 0 {
		return nil, false, nil
	}
	key := func(name string) (out []string) {
		var text string
		if raw, ok := m[name]; ok && (json.Unmarshal(raw, &text) != nil || json.Unmarshal([]byte(text), &out) != nil) {
			restarted = true
		}
		return out
	}
	i.Last, i.Max = key("incremental_snapshot_primary_key"), key("incremental_snapshot_maximum_key")
	if restarted || i.Max == nil {
		i.Last, i.Max = nil, nil
	}
	json.Unmarshal(m["incremental_snapshot_correlation_id"], &i.Correlation)
	json.Unmarshal(m["incremental_snapshot_paused"], &i.Paused)
	return i, restarted, nil
}

// next goes on to the next table.
func (i *Progress) next() {
	i.Parts = i.Parts[1:]
	i.Last, i.Max = nil, nil
}

// remove takes the tables out that one of the patterns matches; with no pattern all.
func (i *Progress) remove(patterns []Patterns) {
	var left []Part
	for n, p := range i.Parts {
		hit := len(patterns) == 0
		for _, pattern := range patterns {
			hit = hit || pattern.Match(p.Table.String())
		}
		if !hit {
			left = append(left, p)
		} else if n == 0 {
			i.Last, i.Max = nil, nil
		}
	}
	i.Parts = left
}
