// SPDX-FileCopyrightText: Contributors to the dtr.cache project
// SPDX-License-Identifier: GPL-3.0-or-later

// Pull a blob from a cache as Docker does, by each version of TLS: pull PORT HOST ROOTS PATH. The digest of what came is
// a line each time.
package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
)

func pull(port, host, roots, path string, version uint16) error {
	pool := x509.NewCertPool()
	pem, _ := os.ReadFile(roots)
	pool.AppendCertsFromPEM(pem)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: host, MaxVersion: version},
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			return net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
		},
	}
	answer, err := (&http.Client{Transport: transport}).Get("https://" + net.JoinHostPort(host, port) + path)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(answer.Body)
	if err == nil {
		fmt.Printf("%d sha256:%x\n", answer.StatusCode, sha256.Sum256(body))
	}
	return err
}

func main() {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		if err := pull(os.Args[1], os.Args[2], os.Args[3], os.Args[4], version); err != nil {
			fmt.Println(err)
		}
	}
}
