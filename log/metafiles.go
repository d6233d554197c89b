package log

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/sluicehub/sluice/log/vfs"
)

// Files of the data directory besides the partitions' folders. Names and
// forms are Kafka's where Kafka has the file.
const (
	lockFile       = ".lock"
	metaFile       = "meta.properties"
	topicsFile     = "topics"                      // ours: topic names, ids, configs
	producerIDFile = "producer-id-checkpoint"      // ours: next unused producer id
	logStartFile   = "log-start-offset-checkpoint" // log starts above the first segment's base
	epochFile      = "leader-epoch-checkpoint"     // in a partition's folder
	partitionFile  = "partition.metadata"          // in a partition's folder: topic id
	tempSuffix     = ".tmp"
)

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// writeAtomic replaces a file so that after a crash it is the old or the new
// one, and after returning the new one.
func writeAtomic(fsys vfs.FS, dir, name string, content []byte) error {
	path := filepath.Join(dir, name)
	f, err := fsys.Create(path + tempSuffix)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(content, 0); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := fsys.Rename(path+tempSuffix, path); err != nil {
		return err
	}
	return fsys.SyncDir(dir)
}

// readFile reads a whole file; a missing one is nil and no error.
func readFile(fsys vfs.FS, dir, name string) ([]byte, error) {
	f, err := fsys.Open(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	b := make([]byte, size)
	if size > 0 {
		if _, err := f.ReadAt(b, 0); err != nil {
			return nil, fmt.Errorf("read %s: %w", filepath.Join(dir, name), err)
		}
	}
	return b, nil
}

// topicRecord is one topic in the topics file.
type topicRecord struct {
	Name       string            `json:"name"`
	ID         string            `json:"id"`
	Partitions int32             `json:"partitions"`
	Configs    map[string]string `json:"configs,omitempty"`
	// Deleting: the deletion is decided; what is left of the files goes.
	Deleting bool `json:"deleting,omitempty"`
	// Compacted: offsets may be missing between batches.
	Compacted bool `json:"compacted,omitempty"`
}

// The topics file is one line and JSON:
//
//	sluice-topics 1 <crc32c of the rest, 8 hex digits>\n
//	[{"name":…},…]
const topicsHead = "sluice-topics 1 "

func encodeTopics(topics []topicRecord) ([]byte, error) {
	body, err := json.MarshalIndent(topics, "", " ")
	if err != nil {
		return nil, err
	}
	return seal(topicsHead, body), nil
}

func decodeTopics(b []byte) ([]topicRecord, error) {
	body, err := unseal(topicsHead, b)
	if err != nil {
		return nil, err
	}
	var topics []topicRecord
	if err := json.Unmarshal(body, &topics); err != nil {
		return nil, err
	}
	return topics, nil
}

// A checkpoint is Kafka's text form: version 0, the number of lines, and the
// lines, fields apart by one space.
func encodeCheckpoint(lines []string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "0\n%d\n", len(lines))
	for _, l := range lines {
		b.WriteString(l + "\n")
	}
	return b.Bytes()
}

func decodeCheckpoint(b []byte, fields int) ([][]string, error) {
	lines := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	if len(lines) < 2 || lines[0] != "0" {
		return nil, fmt.Errorf("not a version 0 checkpoint")
	}
	if n, err := strconv.Atoi(lines[1]); err != nil || n != len(lines)-2 {
		return nil, fmt.Errorf("checkpoint says %q lines and has %d", lines[1], len(lines)-2)
	}
	var out [][]string
	for _, l := range lines[2:] {
		f := strings.Split(l, " ")
		if len(f) != fields {
			return nil, fmt.Errorf("checkpoint line %q does not have %d fields", l, fields)
		}
		out = append(out, f)
	}
	return out, nil
}

func encodeEpochs(epochs []EpochStart) []byte {
	lines := make([]string, len(epochs))
	for i, e := range epochs {
		lines[i] = fmt.Sprintf("%d %d", e.Epoch, e.Offset)
	}
	return encodeCheckpoint(lines)
}

func decodeEpochs(b []byte) ([]EpochStart, error) {
	lines, err := decodeCheckpoint(b, 2)
	if err != nil {
		return nil, err
	}
	out := make([]EpochStart, 0, len(lines))
	for _, f := range lines {
		epoch, err1 := strconv.ParseInt(f[0], 10, 32)
		offset, err2 := strconv.ParseInt(f[1], 10, 64)
		if err1 != nil || err2 != nil || epoch < 0 || offset < 0 {
			return nil, fmt.Errorf("epoch line %q", f)
		}
		e := EpochStart{int32(epoch), offset}
		if n := len(out); n > 0 && (e.Epoch <= out[n-1].Epoch || e.Offset < out[n-1].Offset) {
			return nil, fmt.Errorf("epochs do not rise at %q", f)
		}
		out = append(out, e)
	}
	return out, nil
}

func encodePartitionMeta(id TopicID) []byte {
	return fmt.Appendf(nil, "version: 0\ntopic_id: %s\n", id)
}

func decodePartitionMeta(b []byte) (TopicID, error) {
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "topic_id: "); ok {
			return ParseTopicID(v)
		}
	}
	return TopicID{}, fmt.Errorf("no topic_id line")
}

// meta is meta.properties.
type meta struct {
	clusterID string
	epoch     int32 // leader epoch of the last Open
}

func encodeMeta(m meta) []byte {
	return fmt.Appendf(nil, "version=1\nnode.id=0\ncluster.id=%s\nsluice.format=1\nsluice.leader.epoch=%d\n", m.clusterID, m.epoch)
}

func decodeMeta(b []byte) (meta, error) {
	props := map[string]string{}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if k, v, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") {
			props[k] = v
		}
	}
	if f := props["sluice.format"]; f != "1" {
		return meta{}, fmt.Errorf("sluice.format is %q, this version reads 1", f)
	}
	epoch, err := strconv.ParseInt(props["sluice.leader.epoch"], 10, 32)
	if err != nil || epoch < 0 {
		return meta{}, fmt.Errorf("sluice.leader.epoch is %q", props["sluice.leader.epoch"])
	}
	if props["cluster.id"] == "" {
		return meta{}, fmt.Errorf("cluster.id is missing")
	}
	return meta{clusterID: props["cluster.id"], epoch: int32(epoch)}, nil
}
