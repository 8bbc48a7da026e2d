// SPDX-FileCopyrightText: Contributors to the dtr.cache project
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bufio"
	"io"
	"os"
	"regexp"

	"github.com/sirupsen/logrus"
)

// The query string of a blob's URL is a signature that lets whoever reads it fetch the blob. The registry would write it
// into each line about a request, and into the access log.
var query = regexp.MustCompile(`\?[^\s"]*`)

// signatureHook takes the query string off the addresses in the registry's own log lines.
type signatureHook struct{}

func (signatureHook) Levels() []logrus.Level { return logrus.AllLevels }

// Fire changes a copy that logrus made for this line: the logger's fields stay as they are.
func (signatureHook) Fire(entry *logrus.Entry) error {
	for _, field := range []string{"http.request.uri", "http.request.referer"} {
		if address, ok := entry.Data[field].(string); ok {
			entry.Data[field] = query.ReplaceAllLiteralString(address, "")
		}
	}
	return nil
}

// withoutSignatures returns a file whose lines reach out without query strings. The registry writes its access log to
// os.Stdout and can be given no other writer.
func withoutSignatures(out io.Writer) (*os.File, error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	go func() {
		lines := bufio.NewReader(reader)
		for {
			line, err := lines.ReadBytes('\n')
			// A log that nobody reads any more must not stop the requests that are logged: errors are let go.
			_, _ = out.Write(query.ReplaceAllLiteral(line, nil))
			if err != nil {
				return
			}
		}
	}()
	return writer, nil
}
