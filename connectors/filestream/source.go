package filestream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
	"unicode/utf8"

	"github.com/sluicehub/sluice/connectors"
)

const (
	// pollInterval is how long the end of the file is left alone before it is looked at again.
	pollInterval = 100 * time.Millisecond
	// maxLine is the longest line; the reader must hold one whole.
	maxLine = 32 << 20
	// batchBytes ends a batch.
	batchBytes = 1 << 20
)

type sourceTask struct {
	connector string
	path      string
	topic     string
	batchSize int

	file     *os.File
	position int64  // in the file, of buf[at]
	buf      []byte // read and not yet handed on: buf[at:]
	at       int
}

// Start implements connectors.SourceTask. The file need not exist yet.
func (t *sourceTask) Start(_ context.Context, start connectors.SourceStart) error {
	values, problems := sourceDefinition.Parse(start.Config)
	if err := errOf(problems); err != nil {
		return err
	}
	t.connector = start.Connector
	t.path, t.topic, t.batchSize = values.String("file"), values.String("topic"), values.Int("batch.size")
	for _, o := range start.Offsets {
		p, err := readPartition(o.Partition)
		if err != nil {
			return err
		}
		if p.Filename != t.path || o.Offset == nil {
			continue
		}
		if t.position, err = readPosition(o.Offset); err != nil {
			return err
		}
	}
	return t.open()
}

// open opens the file at the position, if it exists by now.
func (t *sourceTask) open() error {
	f, err := os.Open(t.path)
	if errors.Is(err, os.ErrNotExist) {
		if t.position > 0 {
			return t.gone(errors.New("the file does not exist any more"))
		}
		return nil
	}
	if err != nil {
		return fileError("open", t.path, err)
	}
	if _, err := f.Seek(t.position, io.SeekStart); err != nil {
		f.Close()
		return fileError("seek in", t.path, err)
	}
	t.file = f
	if err := t.checkLength(); err != nil {
		f.Close()
		t.file = nil
		return err
	}
	return nil
}

// checkLength fails if the file is shorter than what was read of it. Reading on at its end would wait for ever, and
// reading on at its start would give what nobody asked for.
func (t *sourceTask) checkLength() error {
	info, err := t.file.Stat()
	if err != nil {
		return fileError("read", t.path, err)
	}
	read := t.position + int64(len(t.buf)-t.at)
	if info.Mode().IsRegular() && info.Size() < read {
		return t.gone(fmt.Errorf("the file has %d bytes, and %d were read of it: it was truncated or replaced", info.Size(), read))
	}
	return nil
}

func (t *sourceTask) gone(err error) error {
	return &connectors.Error{Op: "read " + t.path, Class: connectors.ClassGone, Err: err,
		Record: &connectors.RecordRef{Place: fmt.Sprintf("%s, byte %d", t.path, t.position)},
		Remedy: "to read the file from its start, stop the connector and DELETE /connectors/" + t.connector + "/offsets"}
}

// Read implements connectors.SourceTask.
func (t *sourceTask) Read(ctx context.Context, b *connectors.Batch) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if t.cut(b); len(b.Records) > 0 {
			b.EventTime = b.Records[len(b.Records)-1].Timestamp
			b.Offsets = append(b.Offsets, connectors.SourceOffset{
				Partition: connectors.MarshalOffset(sourcePartition{Filename: t.path}),
				Offset:    connectors.MarshalOffset(sourcePosition{Position: &t.position}),
			})
			return nil
		}
		more, err := t.fill()
		if err != nil {
			return err
		}
		if !more {
			if err := connectors.Sleep(ctx, pollInterval); err != nil {
				return err
			}
		}
	}
}

// cut moves whole lines from the buffer to the batch.
func (t *sourceTask) cut(b *connectors.Batch) {
	now := time.Now().UnixMilli()
	for len(b.Records) < t.batchSize && len(b.Buf) < batchBytes {
		line, size, ok := nextLine(t.buf[t.at:])
		if !ok {
			return
		}
		if !utf8.Valid(line) {
			line = bytes.ToValidUTF8(line, []byte("\uFFFD")) // as Java decodes it
		}
		from := len(b.Buf)
		b.Buf = connectors.AppendBytes(b.Buf, line)
		b.Records = append(b.Records, connectors.Record{
			Topic: t.topic, Partition: connectors.AnyPartition, Timestamp: now,
			Value: connectors.Data{Schema: connectors.StringSchema, Bytes: b.Buf[from:len(b.Buf):len(b.Buf)]},
		})
		t.at += size
		t.position += int64(size)
	}
}

// fill reads more of the file behind what is buffered, and reports whether there was more.
func (t *sourceTask) fill() (bool, error) {
	if t.file == nil {
		if err := t.open(); err != nil || t.file == nil {
			return false, err
		}
	}
	if len(t.buf)-t.at > maxLine {
		return false, &connectors.Error{Op: "read " + t.path, Class: connectors.ClassData,
			Record: &connectors.RecordRef{Place: fmt.Sprintf("%s, byte %d", t.path, t.position)},
			Err:    fmt.Errorf("a line is longer than %d bytes", maxLine)}
	}
	t.buf = t.buf[:copy(t.buf, t.buf[t.at:])]
	t.at = 0
	if cap(t.buf)-len(t.buf) < 32<<10 {
		grown := make([]byte, len(t.buf), max(256<<10, 2*cap(t.buf)))
		copy(grown, t.buf)
		t.buf = grown
	}
	n, err := t.file.Read(t.buf[len(t.buf):cap(t.buf)])
	t.buf = t.buf[:len(t.buf)+n]
	switch {
	case n > 0:
		return true, nil
	case err != nil && !errors.Is(err, io.EOF):
		return false, fileError("read", t.path, err)
	}
	return false, t.checkLength()
}

// Commit implements connectors.SourceTask. A file forgets nothing.
func (t *sourceTask) Commit(context.Context, []connectors.SourceOffset) error { return nil }

// Stop implements connectors.SourceTask.
func (t *sourceTask) Stop(context.Context) error {
	if t.file == nil {
		return nil
	}
	err := t.file.Close()
	t.file = nil
	return err
}
