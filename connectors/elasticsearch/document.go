package elasticsearch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/sluicehub/sluice/connectors"
)

// maxPrinters bounds how many schemas' printers are kept. A topic has a handful.
const maxPrinters = 1000

// documents turns records into operations. It is used by Put alone.
type documents struct {
	settings
	printers map[*connectors.Schema]*connectors.JSONPrinter
	id       []byte // scratch
	source   []byte // scratch
}

// errSkip says that a record is no operation, by the configuration.
var errSkip = errors.New("skipped by behavior.on.null.values")

// errNullValue is what a null value is with behavior.on.null.values=FAIL.
var errNullValue = errors.New("the value is null, and behavior.on.null.values is FAIL; IGNORE skips such records, DELETE deletes the document")

// append appends the operation of a record to dst, in the lines of the bulk API:
//
//	{"index":{"_index":"orders","_id":"7","version":42,"version_type":"external"}}
//	{"id":7,…}
//
// and returns the document's id, empty if Elasticsearch chooses it. The id is valid until the next call. An error is
// about this record.
func (d *documents) append(dst []byte, index string, r *connectors.Record, at connectors.TopicPartition) (out, id []byte, err error) {
	isNull, err := nullValue(r.Value)
	if err != nil {
		return dst, nil, fmt.Errorf("value: %w", err)
	}
	ignoreKey := d.ignoresKey(r.Topic)
	if isNull && (d.nulls != onDelete || ignoreKey) {
		if d.nulls == onFail {
			return dst, nil, errNullValue
		}
		return dst, nil, errSkip
	}
	if id, err = d.documentID(r, at, ignoreKey); err != nil {
		return dst, nil, err
	}
	op := "index"
	switch {
	case isNull:
		op = "delete"
	case d.upsert:
		op = "update"
	}
	out = append(append(append(dst, `{"`...), op...), `":{"_index":`...)
	out = connectors.AppendJSONString(out, []byte(index))
	if len(id) > 0 {
		out = append(out, `,"_id":`...)
		out = connectors.AppendJSONString(out, id)
	}
	// A version says which of two writes is the later one, also when a record is delivered again. An update cannot
	// carry one, and then a delete must not either: it would be refused by the versions that updates count up.
	// There, the lanes keep the order.
	if !ignoreKey && !d.upsert && len(id) > 0 {
		version, err := d.version(r)
		if err != nil {
			return dst, nil, err
		}
		out = append(out, `,"version":`...)
		out = strconv.AppendInt(out, version, 10)
		out = append(out, `,"version_type":"external"`...)
	}
	out = append(out, "}}\n"...)
	if isNull {
		return out, id, nil
	}
	if d.source, err = d.appendSource(d.source[:0], r.Value); err != nil {
		return dst, nil, fmt.Errorf("value: %w", err)
	}
	if op == "update" {
		out = append(append(append(out, `{"doc":`...), d.source...), `,"doc_as_upsert":true}`...)
	} else {
		out = append(out, d.source...)
	}
	return append(out, '\n'), id, nil
}

// nullValue reports whether a value is null, with or without a schema.
func nullValue(d connectors.Data) (bool, error) {
	if d.Schema == nil {
		return d.Bytes == nil || string(d.Bytes) == "null", nil
	}
	present, _, err := connectors.ReadPresent(d.Schema, d.Bytes)
	return !present, err
}

// documentID is topic+partition+offset without a key, else the key as text.
func (d *documents) documentID(r *connectors.Record, at connectors.TopicPartition, ignoreKey bool) ([]byte, error) {
	d.id = d.id[:0]
	switch {
	case d.autoIDs:
		return nil, nil
	case ignoreKey:
		d.id = append(append(d.id, at.Topic...), '+')
		d.id = append(strconv.AppendInt(d.id, int64(at.Partition), 10), '+')
		d.id = strconv.AppendInt(d.id, r.Offset, 10)
		return d.id, nil
	}
	var err error
	if d.id, err = appendKey(d.id, r.Key); err != nil {
		return nil, err
	}
	if len(d.id) == 0 {
		return nil, errors.New("the key is the document's id, and must not be empty")
	}
	return d.id, nil
}

// appendKey appends a key as text. Only integers and strings can be ids.
func appendKey(dst []byte, key connectors.Data) ([]byte, error) {
	isNull, err := nullValue(key)
	if err != nil {
		return dst, fmt.Errorf("key: %w", err)
	}
	if isNull {
		return dst, errors.New("the key is the document's id, and must not be null; set key.ignore=true for ids of topic, partition and offset")
	}
	if key.Schema == nil {
		return appendSchemalessKey(dst, key.Bytes)
	}
	v, _, err := connectors.ReadValue(key.Schema, key.Bytes)
	if err != nil {
		return dst, fmt.Errorf("key: %w", err)
	}
	switch v.Type {
	case connectors.String:
		return append(dst, v.Raw()...), nil
	case connectors.Int8, connectors.Int16, connectors.Int32, connectors.Int64:
		return strconv.AppendInt(dst, v.Int(), 10), nil
	}
	return dst, fmt.Errorf("%s is not supported as the document id; take a field of the key with transforms=id, transforms.id.type=org.apache.kafka.connect.transforms.ExtractField$Key, transforms.id.field=NAME", key.Schema.Type)
}

// appendSchemalessKey takes a JSON string or integer.
func appendSchemalessKey(dst, text []byte) ([]byte, error) {
	if len(text) > 0 && text[0] == '"' {
		var s string
		if err := json.Unmarshal(text, &s); err != nil {
			return dst, fmt.Errorf("key: %w", err)
		}
		return append(dst, s...), nil
	}
	if _, err := strconv.ParseInt(string(text), 10, 64); err != nil {
		return dst, fmt.Errorf("a key like %.40s is not supported as the document id: it must be a string or an integer", text)
	}
	return append(dst, text...), nil
}

// version is the record's offset, or what the header says.
func (d *documents) version(r *connectors.Record) (int64, error) {
	if d.versionHeader == "" {
		return r.Offset, nil
	}
	for _, h := range r.Headers {
		if h.Key != d.versionHeader {
			continue
		}
		text, err := appendKey(nil, h.Value)
		if err == nil {
			var version int64
			if version, err = strconv.ParseInt(string(text), 10, 64); err == nil && version >= 0 {
				return version, nil
			}
		}
		return 0, fmt.Errorf("header %s is not a version: it must be a number from 0", d.versionHeader)
	}
	return 0, fmt.Errorf("header %s, which external.version.header names, is not there", d.versionHeader)
}

// appendSource appends the document: the value as one line of JSON.
func (d *documents) appendSource(dst []byte, value connectors.Data) ([]byte, error) {
	if value.Schema == nil {
		return appendLine(dst, value.Bytes)
	}
	p := d.printers[value.Schema]
	if p == nil {
		var err error
		if p, err = connectors.NewJSONPrinter(value.Schema, d.json); err != nil {
			return dst, err
		}
		if len(d.printers) >= maxPrinters {
			clear(d.printers)
		}
		d.printers[value.Schema] = p
	}
	dst, _, err := p.Append(dst, value.Bytes)
	return dst, err
}

// appendLine appends JSON text without line breaks, which end an operation. Only text that has some is worked on.
func appendLine(dst, text []byte) ([]byte, error) {
	if bytes.IndexByte(text, '\n') < 0 {
		return append(dst, text...), nil
	}
	var line bytes.Buffer
	if err := json.Compact(&line, text); err != nil {
		return dst, err
	}
	return append(dst, line.Bytes()...), nil
}
