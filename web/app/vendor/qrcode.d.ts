interface Code { addData(text: string): void; make(): void; getModuleCount(): number; isDark(row: number, column: number): boolean }
export const qrcode: (type: 0, correction: "L" | "M" | "Q" | "H") => Code;
