import eslint from '@eslint/js';
import hooks from 'eslint-plugin-react-hooks';
import typescript from 'typescript-eslint';

export default typescript.config(
    eslint.configs.recommended,
    ...typescript.configs.strict,
    {
        files: ['src/**/*.{ts,tsx}'],
        plugins: { 'react-hooks': hooks },
        languageOptions: {
            parserOptions: { project: './tsconfig.test.json' }
        },
        rules: {
            ...hooks.configs.recommended.rules,
            '@typescript-eslint/no-explicit-any': 'error',
            '@typescript-eslint/no-floating-promises': 'error',
            '@typescript-eslint/no-misused-promises': 'error',
            '@typescript-eslint/explicit-module-boundary-types': 'error',
            '@typescript-eslint/naming-convention': [
                'error',
                {
                    selector: 'interface',
                    format: ['PascalCase'],
                    prefix: ['I']
                }
            ],
            // A plugin's default export and namespaces of Lab need none of these.
            '@typescript-eslint/no-extraneous-class': 'off',
            curly: ['error', 'all'],
            eqeqeq: 'error',
            'max-lines': ['error', { max: 400 }],
            'no-console': 'error'
        }
    }
);
