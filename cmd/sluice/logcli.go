package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/sluicehub/sluice/log"
	"github.com/sluicehub/sluice/log/segment"
	"github.com/spf13/cobra"
)

// logCommand is `sluice log`.
func logCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{Use: "log", Short: "Check, mend and print the files of a log that is not running"}
	outputFlag(cmd, &output)
	cmd.AddCommand(logCheck(&output), logRepair(&output), logDump(&output))
	return cmd
}

// withFolders runs what needs a data directory, or the folder of one partition, that nobody else has.
func withFolders(dir string, do func(*log.Folders) error) error {
	f, err := log.OpenFolders(nil, dir)
	if err != nil {
		return err
	}
	return errors.Join(do(f), f.Close())
}

// folderRow is a partition's folder in the result of a check.
type folderRow struct {
	Partition string   `json:"partition"`
	Segments  int      `json:"segments"`
	Bytes     int64    `json:"bytes"`
	Records   int64    `json:"records"`
	Next      int64    `json:"next"` // offset after the last good record
	Problems  []string `json:"problems"`
	files     *log.PartitionFiles
}

func folderOf(p *log.PartitionFiles) folderRow {
	row := folderRow{Partition: filepath.Base(p.Dir), Segments: len(p.Segments), Next: p.Next, Problems: p.Gaps, files: p}
	for _, s := range p.Segments {
		row.Bytes += s.Bytes
		row.Records += s.Records
		for _, d := range s.Damage {
			lost := fmt.Sprintf("offsets from %d on", d.FirstOffset)
			if d.NextOffset >= 0 {
				lost = fmt.Sprintf("offsets %d to %d", d.FirstOffset, d.NextOffset-1)
			}
			row.Problems = append(row.Problems, fmt.Sprintf("%s: bytes %d to %d are no records (%s): %s", filepath.Base(s.Path), d.From, d.To, d.Reason, lost))
		}
	}
	return row
}

func checkAll(ctx context.Context, f *log.Folders) (rows []folderRow, bad int, err error) {
	err = f.Check(ctx, func(p *log.PartitionFiles) error {
		if !p.Healthy() {
			bad++
		}
		rows = append(rows, folderOf(p))
		return nil
	})
	return rows, bad, err
}

func showFolders(w io.Writer, output string, rows []folderRow) error {
	err := show(w, output, "PARTITION SEGMENTS RECORDS NEXT SIZE PROBLEMS", rows, func(r folderRow) []any {
		return []any{r.Partition, r.Segments, r.Records, r.Next, size(r.Bytes), len(r.Problems)}
	})
	for _, r := range rows {
		for _, p := range r.Problems {
			if output != "json" {
				fmt.Fprintf(w, "%s: %s\n", r.Partition, p)
			}
		}
	}
	return err
}

func logCheck(output *string) *cobra.Command {
	return &cobra.Command{Use: "check DIR", Short: "Read every byte of a data directory, or of one partition's folder, and say what is wrong",
		Long: "Check every record batch of a data directory, or of one partition's folder. Nothing is changed; the exit code is 1 if something is wrong. " +
			"Bytes at the very end of a partition that are no records are what a crash leaves, and the next start cuts them.",
		Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
			return withFolders(args[0], func(f *log.Folders) error {
				rows, bad, err := checkAll(cmd.Context(), f)
				if err := errors.Join(err, showFolders(cmd.OutOrStdout(), *output, rows)); err != nil {
					return err
				}
				if bad > 0 {
					return fmt.Errorf("%d of %d partitions are not whole", bad, len(rows))
				}
				return nil
			})
		}}
}

func logRepair(output *string) *cobra.Command {
	yes := false
	cmd := &cobra.Command{Use: "repair DIR", Short: "Cut damaged bytes out of a data directory, or of one partition's folder",
		Long: "Write damaged segments anew without the bytes that cannot be read, so that the partition takes writes again and everything else in it can be read. " +
			"The damaged files are kept beside them (.damaged). What is lost is printed; without --yes nothing is changed.",
		Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
			return withFolders(args[0], func(f *log.Folders) error {
				rows, bad, err := checkAll(cmd.Context(), f)
				if err := errors.Join(err, showFolders(cmd.OutOrStdout(), *output, rows)); err != nil || bad == 0 {
					return err
				}
				if !yes {
					return fmt.Errorf("%d of %d partitions are not whole; nothing was changed, --yes gives up what is listed", bad, len(rows))
				}
				var errs []error
				for _, r := range rows {
					n, err := f.Repair(cmd.Context(), r.files)
					if n > 0 {
						fmt.Fprintf(cmd.ErrOrStderr(), "%s: %d segments mended\n", r.Partition, n)
					}
					errs = append(errs, err)
				}
				return errors.Join(errs...)
			})
		}}
	cmd.Flags().BoolVar(&yes, "yes", false, "give up what cannot be read")
	return cmd
}

// batchRow is a record batch in a dump.
type batchRow struct {
	Partition string   `json:"partition"`
	First     int64    `json:"first_offset"`
	Last      int64    `json:"last_offset"`
	Count     int32    `json:"records"`
	Bytes     int      `json:"bytes"`
	Position  int64    `json:"position"`
	Epoch     int32    `json:"leader_epoch"`
	Codec     string   `json:"compression"`
	Producer  int64    `json:"producer_id"`
	Sequence  int32    `json:"base_sequence"`
	Timestamp string   `json:"max_timestamp"`
	Records   []string `json:"values,omitempty"`
}

func logDump(output *string) *cobra.Command {
	records := false
	cmd := &cobra.Command{Use: "dump DIR", Short: "Print the record batches of a data directory, or of one partition's folder", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		w := bufio.NewWriter(cmd.OutOrStdout())
		err := withFolders(args[0], func(f *log.Folders) error {
			return f.Dump(cmd.Context(), func(dir string, h *segment.Header, batch []byte, pos int64) error {
				return dumpBatch(w, *output, records, filepath.Base(dir), h, batch, pos)
			})
		})
		return errors.Join(err, w.Flush())
	}}
	cmd.Flags().BoolVar(&records, "records", false, "also the records, keys and values as text")
	return cmd
}

func dumpBatch(w *bufio.Writer, output string, records bool, partition string, h *segment.Header, batch []byte, pos int64) error {
	codec := "codec " + fmt.Sprint(h.Codec())
	if names := []string{"none", "gzip", "snappy", "lz4", "zstd"}; h.Codec() < len(names) {
		codec = names[h.Codec()]
	}
	row := batchRow{Partition: partition, First: h.BaseOffset, Last: h.LastOffset(), Count: h.Count, Bytes: h.Size(), Position: pos, Epoch: h.LeaderEpoch,
		Codec: codec, Producer: h.ProducerID, Sequence: h.BaseSequence, Timestamp: time.UnixMilli(h.MaxTimestamp).UTC().Format(time.RFC3339Nano)}
	if records {
		for rec, err := range segment.Records(h, batch) {
			if err != nil {
				return err
			}
			row.Records = append(row.Records, fmt.Sprintf("%d: key %q value %q", rec.Offset, rec.Key, rec.Value))
		}
	}
	if output == "json" {
		return printLine(w, row)
	}
	fmt.Fprintf(w, "%s offsets %d-%d records %d bytes %d position %d epoch %d compression %s producer %d sequence %d time %s\n",
		row.Partition, row.First, row.Last, row.Count, row.Bytes, row.Position, row.Epoch, row.Codec, row.Producer, row.Sequence, row.Timestamp)
	for _, r := range row.Records {
		fmt.Fprintf(w, "  %s\n", r)
	}
	return nil
}

// printLine prints a value as one line of JSON.
func printLine(w *bufio.Writer, v any) error {
	b, err := json.Marshal(v)
	if err == nil {
		_, err = w.Write(append(b, '\n'))
	}
	return err
}
