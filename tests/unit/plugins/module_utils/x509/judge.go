// SPDX-FileCopyrightText: Contributors to the dtr.cache project
// SPDX-License-Identifier: GPL-3.0-or-later

// Say for each case in the folder of the arguments whether Go accepts it: the chain and key as a server of TLS, and the
// leaf as a client of it. A case is a folder with chain.pem, key.pem and roots.pem.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

func judge(folder, host string) error {
	pair, err := tls.LoadX509KeyPair(filepath.Join(folder, "chain.pem"), filepath.Join(folder, "key.pem"))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	pem, _ := os.ReadFile(filepath.Join(folder, "roots.pem"))
	roots.AppendCertsFromPEM(pem)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		here, there := net.Pipe()
		go tls.Server(there, &tls.Config{Certificates: []tls.Certificate{pair}}).Handshake()
		client := tls.Client(here, &tls.Config{RootCAs: roots, ServerName: host, MaxVersion: version})
		if err := client.Handshake(); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	for _, folder := range os.Args[2:] {
		fmt.Println(judge(folder, os.Args[1]))
	}
}
